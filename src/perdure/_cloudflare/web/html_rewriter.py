"""HTMLRewriter as JavaScript shows it: handlers change the HTML of a response on its way. (cooperative)

A document is read whole before it leaves. A text comes as one chunk, the last one of its node.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import JsArray, JsIterator, js_text, relaxed_call, unproxied
from perdure._cloudflare.web.channel import settled
from perdure._cloudflare.web.html_source import (
    VOID,
    Place,
    Test,
    Token,
    read_attributes,
    read_doctype,
    read_selector,
    tokens,
)
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.response import Response
from perdure._cloudflare.web.shape import WebObject, is_absent, read_options


class _Handlers(NamedTuple):
    test: Test
    element: Any
    comments: Any
    text: Any


class HTMLRewriter(WebObject):
    """`HTMLRewriter.new().on(selector, handlers).transform(response)`."""

    def __init__(self) -> None:
        self._elements: list[_Handlers] = []
        self._documents: list[dict[str, Any]] = []

    def on(self, selector: Any, handlers: Any) -> HTMLRewriter:
        """Call `handlers.element`, `.comments` and `.text` for what is, or is inside of, elements that *selector* names."""
        try:
            test = read_selector(js_text(selector))
        except ValueError as error:
            raise js_error("TypeError", str(error)) from error
        found = read_options(unproxied(handlers), {}, "element", "comments", "text")
        self._elements.append(_Handlers(test, found.get("element"), found.get("comments"), found.get("text")))
        return self

    def onDocument(self, handlers: Any) -> HTMLRewriter:
        """Call `handlers.doctype`, `.comments`, `.text` and `.end` for all of the document."""
        self._documents.append(read_options(unproxied(handlers), {}, "doctype", "comments", "text", "end"))
        return self

    def transform(self, response: Any) -> Response:
        """Return a response with the changed HTML, which takes the body of *response* over."""
        original: Response = getattr(response, "js_object", response)
        if original.body is None:
            return original.clone()
        headers = original._native.headers.copy()
        headers.delete("content-length")
        changed = _changed(original.body, _Rewriting(self._elements, self._documents))
        return Response(ReadableStream.from_(changed), original, headers=headers)


async def _changed(body: ReadableStream, rewriting: _Rewriting) -> AsyncIterator[bytes]:
    source = b"".join([bytes(chunk) async for chunk in body])
    await rewriting.run(source.decode("utf-8", "surrogateescape"))
    yield "".join(rewriting.out).encode("utf-8", "surrogateescape")


class _Content:
    """What is put before and after a piece of the document, or in its place."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.after: list[str] = []
        self.instead: list[str] = []
        self.is_removed = False


class _Piece(WebObject):
    """What pieces of all kinds can be asked for."""

    def __init__(self) -> None:
        self._content = _Content()

    @property
    def removed(self) -> bool:
        return self._content.is_removed

    def before(self, content: Any, options: Any = None, **named: Any) -> Any:
        """Put *content* before this, as text, or with `html` as HTML."""
        self._content.before.append(_markup(content, options, named))
        return self

    def after(self, content: Any, options: Any = None, **named: Any) -> Any:
        """Put *content* after this."""
        self._content.after.insert(0, _markup(content, options, named))
        return self

    def replace(self, content: Any, options: Any = None, **named: Any) -> Any:
        """Put *content* in the place of this."""
        self._content.instead = [_markup(content, options, named)]
        return self.remove()

    def remove(self) -> Any:
        """Leave this out, with all inside."""
        self._content.is_removed = True
        return self

    def _written(self, source: str) -> str:
        content = self._content
        middle = content.instead if content.is_removed else [source]
        return "".join([*content.before, *middle, *content.after])


class Text(_Piece):
    """A text; it is HTML, not decoded."""

    lastInTextNode = True

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    @property
    def text(self) -> str:
        return self._text


class Comment(_Piece):
    """A comment, whose `text` may be set."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Doctype(WebObject):
    """The document type: `name`, `publicId`, `systemId`."""

    def __init__(self, said: str) -> None:
        self.name, self.publicId, self.systemId = read_doctype(said)


class DocumentEnd(WebObject):
    """The end of the document."""

    def __init__(self) -> None:
        self._content: list[str] = []

    def append(self, content: Any, options: Any = None, **named: Any) -> DocumentEnd:
        """Put *content* at the end."""
        self._content.append(_markup(content, options, named))
        return self


class EndTag(_Piece):
    """The end tag of an element, whose `name` may be set."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Element(_Piece):
    """An element, at its start tag."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._name = place.name
        self._attributes = dict(place.attributes)
        self._is_changed = self._keeps_content = False
        self._first: list[str] = []
        self._last: list[str] = []
        self._inner: str | None = None
        self._end_handlers: list[Any] = []

    @property
    def tagName(self) -> str:
        return self._name

    @tagName.setter
    def tagName(self, name: Any) -> None:
        self._name = js_text(name)
        self._is_changed = True

    @property
    def namespaceURI(self) -> str:
        return "http://www.w3.org/1999/xhtml"

    @property
    def attributes(self) -> JsIterator:
        return JsIterator([JsArray(pair) for pair in self._attributes.items()])

    def getAttribute(self, name: Any) -> str | None:
        return self._attributes.get(js_text(name).lower())

    def hasAttribute(self, name: Any) -> bool:
        return js_text(name).lower() in self._attributes

    def setAttribute(self, name: Any, value: Any) -> Element:
        self._attributes[js_text(name).lower()] = js_text(value).replace('"', "&quot;")
        self._is_changed = True
        return self

    def removeAttribute(self, name: Any) -> Element:
        self._is_changed |= self._attributes.pop(js_text(name).lower(), None) is not None
        return self

    def prepend(self, content: Any, options: Any = None, **named: Any) -> Element:
        """Put *content* at the beginning of what is inside."""
        self._first.insert(0, _markup(content, options, named))
        return self

    def append(self, content: Any, options: Any = None, **named: Any) -> Element:
        """Put *content* at the end of what is inside."""
        self._last.append(_markup(content, options, named))
        return self

    def setInnerContent(self, content: Any, options: Any = None, **named: Any) -> Element:
        """Put *content* in the place of what is inside."""
        self._inner = _markup(content, options, named)
        self._first, self._last = [], []
        return self

    def removeAndKeepContent(self) -> Element:
        """Leave the tags out."""
        self._content.is_removed = self._keeps_content = True
        return self

    def onEndTag(self, handler: Any) -> None:
        """Call `handler(end_tag)` when the element ends."""
        self._end_handlers.append(handler)

    def _tag(self, source: str) -> str:
        if not self._is_changed:
            return source
        attributes = "".join(f' {name}="{value}"' for name, value in self._attributes.items())
        return f"<{self._name}{attributes}{' /' if source.endswith('/>') else ''}>"

    @property
    def _hides_content(self) -> bool:
        return self._inner is not None or (self._content.is_removed and not self._keeps_content)


class _Open(NamedTuple):
    """An element whose end has not come: where it is, what handlers made of it, and those that listen inside."""

    place: Place
    element: Element | None
    handlers: list[_Handlers]


class _Rewriting:
    """One document on its way."""

    def __init__(self, elements: list[_Handlers], documents: list[dict[str, Any]]) -> None:
        self.out: list[str] = []
        self._elements = elements
        self._documents = documents
        self._open: list[_Open] = []
        self._root = Place("", {}, None)
        self._hidden = 0

    async def run(self, source: str) -> None:
        for token in tokens(source):
            await getattr(self, f"_{token.kind}")(token)
        while self._open:
            await self._close(None)
        end = DocumentEnd()
        for handlers in self._documents:
            await _tell(handlers.get("end"), end)
        self._put(*end._content)

    def _put(self, *pieces: str) -> None:
        if not self._hidden:
            self.out.extend(pieces)

    async def _other(self, token: Token) -> None:
        self._put(token.source)

    async def _doctype(self, token: Token) -> None:
        doctype = Doctype(token.name)
        for handlers in self._documents:
            await _tell(handlers.get("doctype"), doctype)
        self._put(token.source)

    async def _text(self, token: Token) -> None:
        text = Text(token.source)
        await self._tell_all("text", text)
        self._put(text._written(token.source))

    async def _comment(self, token: Token) -> None:
        comment = Comment(token.name)
        await self._tell_all("comments", comment)
        self._put(comment._written(token.source if comment.text == token.name else f"<!--{comment.text}-->"))

    async def _tell_all(self, kind: str, piece: _Piece) -> None:
        if self._hidden:
            return
        for each in self._documents:
            await _tell(each.get(kind), piece)
        inside = {id(handlers): handlers for open in self._open for handlers in open.handlers}
        for handlers in inside.values():
            await _tell(getattr(handlers, kind), piece)

    async def _start(self, token: Token) -> None:
        parent = self._open[-1].place if self._open else self._root
        place = Place(token.name, read_attributes(token.attributes), parent)
        matching = [] if self._hidden else [each for each in self._elements if each.test(place)]
        element = Element(place) if any(each.element is not None for each in matching) else None
        for handlers in matching:
            await _tell(handlers.element, element)
        is_void = token.name in VOID
        if element is None:
            self._put(token.source)
            if not is_void:
                self._open.append(_Open(place, None, matching))
            return
        content = element._content
        self._put(*content.before)
        self._put(*(content.instead if content.is_removed else [element._tag(token.source)]))
        if is_void:
            self._put(*content.after)
            return
        if not content.is_removed or element._keeps_content:
            self._put(*element._first, *([] if element._inner is None else [element._inner]))
        self._hidden += element._hides_content
        self._open.append(_Open(place, element, matching))

    async def _end(self, token: Token) -> None:
        if all(each.place.name != token.name for each in self._open):
            self._put(token.source)
            return
        while self._open[-1].place.name != token.name:
            await self._close(None)
        await self._close(token)

    async def _close(self, token: Token | None) -> None:
        """End the innermost open element, by its end tag if it has one."""
        element = self._open.pop().element
        source = "" if token is None else token.source
        if element is None:
            self._put(source)
            return
        self._hidden -= element._hides_content
        tag = EndTag(element._name)
        if token is not None:
            for handler in element._end_handlers:
                await _tell(handler, tag)
        if element._content.is_removed:
            if element._keeps_content:
                self._put(*element._last)
        else:
            self._put(*element._last)
            same = tag.name == (token.name if token is not None else tag.name)
            self._put(tag._written(source if same else f"</{tag.name}>"))
        self._put(*element._content.after)


async def _tell(handler: Any, piece: Any) -> None:
    if handler is not None:
        await settled(relaxed_call(handler, piece))


def _markup(content: Any, options: Any, named: dict[str, Any]) -> str:
    text = "" if is_absent(content) else js_text(content)
    return text if read_options(options, named, "html").get("html") else html.escape(text, quote=False)
