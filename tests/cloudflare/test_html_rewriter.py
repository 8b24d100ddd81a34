"""`js.HTMLRewriter`: selectors, and what handlers do to a document on its way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import create_proxy
from perdure._cloudflare.web.html_rewriter import HTMLRewriter
from perdure._cloudflare.web.html_source import Place, read_attributes, read_selector, tokens
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.workers.response import Response

PAGE = '<!DOCTYPE html><html><head><title>a < b</title></head><body class="x y"><p id=one>1<br>2<p>3</body></html>'


async def rewritten(source, *handlers, document=None):
    rewriter = HTMLRewriter.new()
    for selector, given_ in handlers:
        rewriter.on(selector, given_)
    if document is not None:
        rewriter.onDocument(document)
    return await rewriter.transform(JsResponse.new(source)).text()


async def changed(source, change, selector="p"):
    """Return *source* after `change(element)` of the elements that *selector* names."""
    return await rewritten(source, (selector, {"element": change}))


class Handler:
    """In the way that projects write them."""

    def __init__(self):
        self.seen = []

    def element(self, element):
        self.seen.append(element.tagName)
        element.prepend('<meta name="x" />', html=True)


@pytest.mark.members(
    "js.HTMLRewriter", "js.HTMLRewriter.on", "js.HTMLRewriter.transform", "HtmlElement.prepend"
)
async def test_a_response_is_changed_on_its_way():
    handler = Handler()
    response = Response(
        "<head>a</head>", status=201, headers={"content-type": "text/html", "content-length": "14"}
    )
    result = HTMLRewriter.new().on("head", create_proxy(handler)).transform(response)
    assert (result.status, result.headers.get("content-type"), result.headers.get("content-length")) == (
        201,
        "text/html",
        None,
    )
    assert await result.text() == '<head><meta name="x" />a</head>'
    assert (handler.seen, response.body_used) == (["head"], True)


async def test_what_nobody_asks_about_leaves_as_it_came():
    for source in (PAGE, "\ud800".encode("utf-8", "surrogatepass") + b"\xff<p>\xfe</p>", b"<a <b <c"):
        result = (
            HTMLRewriter.new()
            .on("nothing", {"element": lambda e: e.remove()})
            .transform(JsResponse.new(source))
        )
        assert await result.bytes() == (source if isinstance(source, bytes) else source.encode())
    empty = HTMLRewriter.new().transform(JsResponse.new(None, status=204))
    assert (empty.status, empty.body) == (204, None)


@pytest.mark.members(
    "HtmlElement.before",
    "HtmlElement.after",
    "HtmlElement.append",
    "HtmlElement.replace",
    "HtmlElement.remove",
    "HtmlElement.setInnerContent",
    "HtmlElement.removeAndKeepContent",
)
@pytest.mark.parametrize(
    ("change", "result"),
    [
        (lambda e: e.before("<b>").before("2"), "[&lt;b&gt;2<p>in</p>]"),
        (lambda e: e.after("1").after("2", {"html": True}), "[<p>in</p>21]"),
        (lambda e: e.prepend("1").prepend("2"), "[<p>21in</p>]"),
        (lambda e: e.append("1").append("<i>", html=True), "[<p>in1<i></p>]"),
        (lambda e: e.replace("<b>x</b>", html=True), "[<b>x</b>]"),
        (lambda e: e.remove(), "[]"),
        (lambda e: e.remove().before("1").after("2"), "[12]"),
        (lambda e: e.removeAndKeepContent().prepend("1").append("2"), "[1in2]"),
        (lambda e: e.setInnerContent("new").append("1"), "[<p>new1</p>]"),
        (lambda e: e.setAttribute("A", 'q"').setAttribute("b", 1), '[<p a="q&quot;" b="1">in</p>]'),
        (lambda e: setattr(e, "tagName", "div"), "[<div>in</div>]"),
        (lambda e: e.onEndTag(lambda tag: tag.before("1").after("2")), "[<p>in1</p>2]"),
        (lambda e: e.onEndTag(lambda tag: tag.remove()), "[<p>in]"),
    ],
)
async def test_what_an_element_can_do(change, result):
    assert await changed("[<p>in</p>]", change) == result


@pytest.mark.members(
    "HtmlElement.getAttribute",
    "HtmlElement.hasAttribute",
    "HtmlElement.removeAttribute",
    "HtmlElement.attributes",
    "HtmlElement.tagName",
    "HtmlElement.removed",
)
async def test_what_an_element_tells():
    told = []

    def tell(element):
        told.append(
            (
                element.tagName,
                element.getAttribute("HREF"),
                element.getAttribute("none"),
                element.hasAttribute("b"),
                element.removed,
            )
        )
        told.append([tuple(pair) for pair in element.attributes])
        element.removeAttribute("b")

    assert await changed("<A Href='1' b c=\"2>\">", tell, "a") == '<a href="1" c="2>">'
    assert told == [("a", "1", None, True, False), [("href", "1"), ("b", ""), ("c", "2>")]]


async def test_handlers_may_be_coroutines_and_several():
    async def first(element):
        element.setAttribute("a", "1")

    result = await rewritten(
        "<p>",
        ("p", {"element": first}),
        ("*", {"element": lambda e: e.setAttribute("b", e.getAttribute("a"))}),
    )
    assert result == '<p a="1" b="1">'


async def test_what_is_inside_of_something_removed_is_not_asked_about():
    seen = []
    result = await rewritten(
        "<div><p>1<!--2--></p></div><p>3</p>",
        ("div", {"element": lambda e: e.remove()}),
        ("p", {"element": lambda e: seen.append(e.tagName), "text": lambda t: seen.append(t.text)}),
    )
    assert (result, seen) == ("<p>3</p>", ["p", "3"])


@pytest.mark.members("HtmlText.text", "HtmlComment.text")
async def test_texts_and_comments_inside_are_told_and_changed():
    def text(chunk):
        assert chunk.lastInTextNode
        if chunk.text == "a":
            chunk.replace("<b>", html=True)
        elif chunk.text == "c":
            chunk.remove()
        else:
            chunk.before("(").after(")")

    def comment(piece):
        if piece.text == "x":
            piece.text = "y"
        else:
            piece.remove()

    result = await rewritten(
        "0<p>a<i>b</i>c<!--x--><!--z--></p><!--x-->", ("p", {"text": text, "comments": comment})
    )
    assert result == "0<p><b><i>(b)</i><!--y--></p><!--x-->"


@pytest.mark.members("js.HTMLRewriter.onDocument")
async def test_the_document_has_handlers_of_its_own():
    told = []
    result = await rewritten(
        '<!DOCTYPE html PUBLIC "p" "s">1<!--2--><p>3</p>',
        document={
            "doctype": lambda d: told.append((d.name, d.publicId, d.systemId)),
            "comments": lambda c: told.append(c.text),
            "text": lambda t: told.append(t.text),
            "end": lambda e: e.append("<end>", html=True),
        },
    )
    assert result == '<!DOCTYPE html PUBLIC "p" "s">1<!--2--><p>3</p><end>'
    assert told == [("html", "p", "s"), "1", "2", "3"]


@pytest.mark.parametrize("doctype", ["<!doctype>", "<!doctype html>", '<!doctype html SYSTEM "s">'])
async def test_document_types_have_what_is_said(doctype):
    told = []
    await rewritten(doctype, document={"doctype": lambda d: told.append((d.name, d.publicId, d.systemId))})
    assert told == [
        {"<!doctype>": (None, None, None), "<!doctype html>": ("html", None, None)}.get(
            doctype, ("html", None, "s")
        )
    ]


async def test_elements_without_an_end_tag_end_with_those_around():
    result = await changed("<ul><li>1<li>2</ul>3", lambda e: e.append("."), "li")
    assert result == "<ul><li>1<li>2..</ul>3"
    assert await changed("<p>1", lambda e: e.append(".").after("!")) == "<p>1.!"
    assert await changed("</p><img><br/>", lambda e: e.after("."), "img") == "</p><img>.<br/>"


async def test_scripts_are_no_html():
    source = "<script>if (a<b) '<p>'</script><p></p><title><p></title><textarea><p>"
    assert await changed(source, lambda e: e.setAttribute("x", "")) == source.replace(
        "<p></p>", '<p x=""></p>'
    )


# --- selectors -----------------------------------------------------------------------------------------------


def a_place():
    root = Place("", {}, None)
    body = Place("body", {"class": "x y"}, root)
    Place("p", {}, body)
    Place("div", {}, body)
    return Place("p", {"id": "one", "data-a": "Some-thing else", "lang": "en-GB"}, body)


@pytest.mark.parametrize(
    "selector",
    [
        "*", "p", "P", "#one", "p#one", "body p", "body > p", ".x p", ".y > *", "[id]", "[id=one]", '[id="one"]', "[data-a^=Some]",
        "[data-a$='else']", "[data-a*=thing]", "[data-a~=else]", "[lang|=en]", "[id=ONE i]", ":nth-child(3)", "p:nth-of-type(2)",
        ":nth-child(odd)", "p:nth-of-type(2n)", ":nth-child(n+2)", ":nth-child(-n+3)", ":not(div)", "p:not(.z):not(:first-child)", "div, p",
        "[data-a='Some-thing else'], none", "body.x.y p[id]",
    ],
)  # fmt: skip
def test_a_selector_matches(selector):
    assert read_selector(selector)(a_place())


@pytest.mark.parametrize(
    "selector",
    [
        "div", "#two", "p p", "html > p", "* > body", "* * p", ".x", ".z p", "[none]", "[id=ONE]", "[data-a^=thing]", "[data-a$=Some]", "[data-a^='']",
        "[data-a~=Some]", "[lang|=e]", ":first-child", "p:first-of-type", ":nth-child(2)", ":nth-child(even)", ":nth-child(n+4)", ":not(p)",
        ":not(div, p)",
    ],
)  # fmt: skip
def test_a_selector_does_not_match(selector):
    assert not read_selector(selector)(a_place())


@pytest.mark.parametrize(
    "selector", ["", "p >", "> p", "p:hover", "[", "p,,a", "a ~ b", ":nth-child(x)", ":nth-child()"]
)
def test_what_is_no_selector_is_a_type_error(selector):
    with pytest.raises(JsException, match="HTMLRewriter knows") as raised:
        HTMLRewriter.new().on(selector, {})
    assert isinstance(raised.value, TypeError)


# --- pieces --------------------------------------------------------------------------------------------------


@pytest.mark.fuzz
@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "p", "/", "!", "--", '"', "'", "=", " ", "script", "<!--", "-->", "<!doctype", "ä"]
        )
    )
)
def test_the_pieces_of_a_document_are_the_document(pieces):
    source = "".join(pieces)
    found = list(tokens(source))
    assert "".join(token.source for token in found) == source
    for token in found:
        read_attributes(token.attributes)


@pytest.mark.parametrize("piece", ["<a", "<a '", "</a", "<!", "<!--", '<a b="', "<script>", "< "])
def test_a_hostile_document_takes_no_longer_than_another(piece):
    """Ten thousand unfinished tags are one text."""
    source = piece * 10_000
    assert len(list(tokens(source))) <= 3 * 10_000


def test_attributes_are_read_as_browsers_do():
    assert read_attributes(""" A=1 b = '2' c="3" d e=/x/ A=9 / """) == {
        "a": "1",
        "b": "2",
        "c": "3",
        "d": "",
        "e": "/x/",
    }
