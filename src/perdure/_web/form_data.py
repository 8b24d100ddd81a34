"""Forms: fields and files, as browsers send them. (pure)

`multipart/form-data` as RFC 7578 and the HTML standard write it, and `application/x-www-form-urlencoded`. A form is
whole in memory, as the body of its request is that was read; its size is bounded by the server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote

from perdure._base import registry
from perdure._base.limits import FORM_ENTRIES_MAX
from perdure._web.text import utf8

FormValue: TypeAlias = "str | Blob"

_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_LINE_END: Final = re.compile("\r\n|\r|\n")
_QUOTED: Final = {'"': "%22", "\r": "%0D", "\n": "%0A"}
_UNQUOTED: Final = {quoted: character for character, quoted in _QUOTED.items()}
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9!#$&+.^_`|~*\'-]+)[ \t]*=[ \t]*(?:"([^"]*)"|([^;"]*))')
"""A backslash is itself in a quoted value: browsers escape quotes as %22, and a path may end in one."""


@registry.value(name="perdure:Blob")
@dataclass(frozen=True, slots=True)
class Blob:
    """
    Bytes with a media type, as JavaScript's `Blob`.

    Attributes:
        data: the content.
        type: its media type, "" if it has none.
    """

    data: bytes
    type: str = ""


@registry.value(name="perdure:File")
@dataclass(frozen=True, slots=True)
class File(Blob):
    """
    A blob with a name, as in a form.

    Attributes:
        name: the file's name, as its sender gave it: check it before it becomes a path.
        last_modified_ms: when it was changed, in milliseconds since 1970; 0 when that is not known. It is not sent.
    """

    name: str = field(kw_only=True)
    last_modified_ms: int = field(default=0, kw_only=True)


class FormData:
    """
    The entries of a form, in order: a name and a str or `File` each; a name may occur several times.

    `form[name]` and `form.get(name)` give the first value, `get_all(name)` each. `form[name] = value` and `set`
    replace every occurrence, `append` adds one. A `Blob` becomes a `File` named "blob".

    Args:
        entries: a mapping, or (name, value) pairs.
    """

    __slots__ = ("_entries",)

    def __init__(
        self, entries: FormData | Mapping[str, FormValue] | Iterable[tuple[str, FormValue]] | None = None
    ) -> None:
        self._entries: list[tuple[str, str | File]] = []
        pairs: Any = () if entries is None else entries
        for name, value in pairs.items() if hasattr(pairs, "items") else pairs:
            self.append(name, value)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the first value of *name*, or *default*."""
        return next((value for key, value in self._entries if key == name), default)

    def get_all(self, name: str) -> list[str | File]:
        """Return every value of *name*, in order."""
        return [value for key, value in self._entries if key == name]

    def append(self, name: str, value: FormValue, filename: str | None = None) -> None:
        """Add a value to *name* and keep those it has; *filename* is for a Blob or another name of a File."""
        self._entries.append(_entry(name, value, filename))

    def set(self, name: str, value: FormValue, filename: str | None = None) -> None:
        """Give *name* this one value, in the place of the first it had."""
        entry = _entry(name, value, filename)
        for position, (existing, _) in enumerate(self._entries):
            if existing == name:
                rest = [each for each in self._entries[position + 1 :] if each[0] != name]
                self._entries[position:] = [entry, *rest]
                return
        self._entries.append(entry)

    def delete(self, name: str) -> None:
        """Remove every value of *name*; nothing happens when there is none."""
        self._entries = [each for each in self._entries if each[0] != name]

    def items(self) -> Iterator[tuple[str, str | File]]:
        """Iterate over (name, value), one pair for each occurrence."""
        return iter(self._entries.copy())

    def keys(self) -> Iterator[str]:
        """Iterate over the names, each once."""
        return iter(dict.fromkeys(name for name, _ in self._entries))

    def values(self) -> Iterator[str | File]:
        """Iterate over the values, one for each occurrence."""
        return iter([value for _, value in self._entries])

    def __getitem__(self, name: str) -> Any:
        for key, value in self._entries:
            if key == name:
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: FormValue) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self._entries)

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return len(self._entries)

    def __perdure_cross__(self, crossing: Any) -> FormData:
        return FormData(self)

    def __eq__(self, other: object) -> bool:
        return self._entries == other._entries if isinstance(other, FormData) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable, like dict

    def __repr__(self) -> str:
        return f"FormData({self._entries!r})"


def _entry(name: str, value: Any, filename: str | None) -> tuple[str, str | File]:
    if not isinstance(name, str):
        raise TypeError(f"A name in a form is a str; got {type(name).__name__}.")
    if isinstance(value, File) and filename is None:
        return name, value
    if isinstance(value, Blob):
        changed = value.last_modified_ms if isinstance(value, File) else 0
        return name, File(value.data, value.type, name=filename or "blob", last_modified_ms=changed)
    if filename is not None:
        raise TypeError(f"A filename is for a Blob or File; the value of {name!r} is {type(value).__name__}.")
    if not isinstance(value, str):
        raise TypeError(f"A form's values are str, Blob or File; that of {name!r} is {type(value).__name__}.")
    return name, value


def encode_form(form: FormData) -> tuple[bytes, str]:
    """Return *form* as `multipart/form-data`, and the content type with the boundary."""
    parts: list[tuple[str, bytes]] = []
    for name, value in form.items():
        # The standard's line end in names and text is CRLF; in a file's name it stays what it is.
        head = f'Content-Disposition: form-data; name="{_quote(_lines(name))}"'
        if isinstance(value, File):
            # As browsers do: what is no type is none. A line end in one would begin another header.
            is_type = value.type.isascii() and value.type.isprintable()
            kind = (is_type and value.type) or "application/octet-stream"
            parts.append((f'{head}; filename="{_quote(value.name)}"\r\nContent-Type: {kind}', value.data))
        else:
            parts.append((head, utf8(_lines(value))))
    digest = hashlib.sha256()
    for head, data in parts:
        digest.update(utf8(head))
        digest.update(data)
    # Made from the content, so that no content can have it inside.
    boundary = f"----perdure-{digest.hexdigest()[:32]}"
    pieces: list[bytes] = []
    for head, data in parts:
        pieces += [f"--{boundary}\r\n".encode(), utf8(head), b"\r\n\r\n", data, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"{_MULTIPART}; boundary={boundary}"


def parse_form(data: bytes, content_type: str) -> FormData:
    """
    Return the form that a body holds.

    Raises:
        TypeError: *content_type* is not that of a form, or lacks its boundary.
        ValueError: the body is no such form, or has too many entries.
    """
    kind, parameters = _split_header(content_type)
    if kind == _URLENCODED:
        text = data.decode("utf-8", "replace")
        return FormData(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_ENTRIES_MAX))
    if kind != _MULTIPART:
        raise TypeError(
            f"The Content-Type of a form is {_MULTIPART} or {_URLENCODED}; this body's is {content_type or 'missing'}."
        )
    boundary = parameters.get("boundary")
    if not boundary:
        raise TypeError(f"The Content-Type has no boundary, which {_MULTIPART} needs: {content_type}")
    return _parse_multipart(data, boundary.encode("latin-1", "replace"))


def _parse_multipart(data: bytes, boundary: bytes) -> FormData:
    delimiter = b"\r\n--" + boundary
    form = FormData()
    # A preamble is allowed, and ignored.
    position = len(delimiter) - 2 if data.startswith(delimiter[2:]) else _after(data, delimiter, 0)
    while not data.startswith(b"--", position):
        head_start = _after(data, b"\r\n", position)
        if data[position : head_start - 2].strip(b" \t"):
            raise ValueError("The form's body is not valid: a boundary is not alone on its line.")
        head_end = data.find(b"\r\n\r\n", head_start - 2)
        end = data.find(delimiter, head_start - 2)
        if head_end < 0 or end < head_end + 2:
            raise ValueError("The form's body is not valid: it ends within a part.")
        if len(form) >= FORM_ENTRIES_MAX:
            raise ValueError(f"A form may have {FORM_ENTRIES_MAX:,} entries; this one has more.")
        form._entries.append(_part(data[head_start:head_end], data[head_end + 4 : end]))
        position = end + len(delimiter)
    return form


def _after(data: bytes, what: bytes, start: int) -> int:
    found = data.find(what, start)
    if found < 0:
        raise ValueError("The form's body is not valid: it has no boundary where one must be.")
    return found + len(what)


def _part(head: bytes, content: bytes) -> tuple[str, str | File]:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    kind, parameters = _split_header(headers.get("content-disposition", ""))
    if kind != "form-data" or "name" not in parameters:
        raise ValueError("The form's body is not valid: a part has no Content-Disposition with a name.")
    name, filename = _unquote(parameters["name"]), parameters.get("filename")
    if "filename*" in parameters:  # old clients, though the standard has no such thing in forms
        charset, _, rest = parameters["filename*"].partition("'")
        filename = _decoded(rest.partition("'")[2], charset)
    if filename is None:
        return name, content.decode("utf-8", "replace")
    # A file without a type is plain text: RFC 7578, 4.4.
    return name, File(content, headers.get("content-type", "text/plain").lower(), name=_unquote(filename))


def _split_header(value: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first `;` in lower case, and the parameters after it."""
    kind = value.partition(";")[0]
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(value, len(kind)):
        text = match[3].strip() if match[2] is None else match[2]
        parameters.setdefault(match[1].lower(), text)
    return kind.strip().lower(), parameters


def _decoded(text: str, charset: str) -> str:
    try:
        return unquote(text, charset or "utf-8", "replace")
    except LookupError:
        return unquote(text, errors="replace")


def _quote(text: str) -> str:
    return "".join(_QUOTED.get(character, character) for character in text)


def _unquote(text: str) -> str:
    for quoted, character in _UNQUOTED.items():
        text = text.replace(quoted, character)
    return text


def _lines(text: str) -> str:
    return _LINE_END.sub("\r\n", text)
