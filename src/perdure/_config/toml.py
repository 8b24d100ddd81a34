"""TOML by `tomllib`, with the place of every key and value found by a scan of our own. (pure)

`tomllib` keeps no positions. The scan runs over a text that `tomllib` has accepted, so it may be simple: it
only has to find where things stand, never whether they are right.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from perdure._config.problem import ProblemsFound
from perdure._config.source import Source, Span, Where

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY_PART = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{1,2}(?!"))?|\'\'\'.*?\'\'\'(?:\'{1,2}(?!\'))?|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLACE = re.compile(
    r"(?P<message>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


def parse(text: str, file: str) -> tuple[dict[str, Any], Source]:
    """
    Return the table and its source with positions.

    Raises:
        ProblemsFound: the text is not TOML; the place is in it.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProblemsFound([_syntax_problem(error, Source(file, text))]) from None
    except RecursionError:
        raise ProblemsFound(
            [Source(file, text).problem("config/syntax", "values are nested too deeply")]
        ) from None
    except ValueError:  # of `int`, which refuses to read thousands of them
        raise ProblemsFound(
            [Source(file, text).problem("config/syntax", "a number has too many digits")]
        ) from None
    scan = _Scan(text)
    scan.document()
    return value, Source(file, text, scan.keys, scan.values)


def _syntax_problem(error: tomllib.TOMLDecodeError, source: Source) -> Any:
    match = _PLACE.fullmatch(str(error))
    message = match["message"] if match else str(error)
    if match is None or match["line"] is None:
        offset = len(source.text.rstrip("\n"))
        message += "; the file ends here" if match else ""
    else:
        lines = source.text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: int(match["line"]) - 1]) + int(match["column"]) - 1
    return source.at_span(Span(offset, 1), "config/syntax", message[:1].lower() + message[1:])


class _Scan:
    """Walks a valid document once, keeping the path of the table it is in."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[Where, Span] = {}
        self.values: dict[Where, Span] = {}
        self.at = 0
        self.lists: dict[Where, int] = {}
        """Index of the newest entry of each `[[list of tables]]`."""

    def document(self) -> None:
        table: Where = ()
        while self.blank():
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def blank(self) -> bool:
        """Skip white space, line ends and comments; return whether anything is left."""
        match = _BLANK.match(self.text, self.at)
        assert match is not None, "the pattern matches the empty text"
        self.at = match.end()
        return self.at < len(self.text)

    def header(self) -> Where:
        start = self.at
        is_list = self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        parts = self.key()
        self.blank()
        self.at += 2 if is_list else 1
        path: Where = ()
        for index, (name, span) in enumerate(parts):
            path = (*path, name)
            self.keys.setdefault(path, span)
            last = index == len(parts) - 1
            if last and is_list:
                self.lists[path] = self.lists.get(path, -1) + 1
            if path in self.lists and (not last or is_list):
                path = (*path, self.lists[path])
        self.values.setdefault(path, Span(start, self.at - start))
        return path

    def key(self) -> list[tuple[str, Span]]:
        """Return the parts of a dotted key."""
        parts = []
        while True:
            self.blank()
            match = _KEY_PART.match(self.text, self.at)
            assert match is not None, "tomllib accepted this key"
            self.at = match.end()
            word = match.group()
            name = next(iter(tomllib.loads(f"{word} = 0"))) if word[0] in "\"'" else word
            parts.append((name, Span(match.start(), len(word))))
            self.blank()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, table: Where) -> None:
        path = table
        for name, span in self.key():
            path = (*path, name)
            self.keys.setdefault(path, span)
        self.at += 1  # the "="
        self.blank()
        self.value(path)

    def value(self, path: Where) -> None:
        start = self.at
        char = self.text[start]
        if char == "[":
            self.items("]", path)
        elif char == "{":
            self.items("}", path)
        elif char in "\"'":
            match = _STRING.match(self.text, start)
            assert match is not None, "tomllib accepted this text"
            self.at = match.end()
        else:
            match = _SCALAR.match(self.text, start)
            assert match is not None, "tomllib accepted this value"
            self.at = start + len(match.group().rstrip())
        self.values[path] = Span(start, self.at - start)

    def items(self, end: str, path: Where) -> None:
        """Walk a list, or a table written in one line."""
        self.at += 1
        index = 0
        while True:
            self.blank()
            if self.text.startswith(",", self.at):
                self.at += 1
                continue
            if self.text.startswith(end, self.at):
                self.at += 1
                return
            if end == "]":
                self.value((*path, index))
            else:
                self.pair(path)
            index += 1
