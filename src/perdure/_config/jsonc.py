"""JSON with comments and trailing commas, with the place of every key and value. (pure)

The grammar is RFC 8259 plus `//` and `/* */` comments and a comma before `}` or `]`: what editors write
into `.jsonc` files, and nothing more (no single quotes, no bare keys).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from perdure._config.problem import Problem, ProblemsFound
from perdure._config.source import Source, Span, Where

DEPTH_MAX = 200
"""Deeper nesting is refused: it would only exhaust the parser's recursion."""

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_WORDS = {"true": True, "false": False, "null": None}


def parse(text: str, file: str) -> tuple[Any, Source, tuple[Problem, ...]]:
    """
    Return the value, its source with positions, and warnings.

    Raises:
        ProblemsFound: the text is not JSON with comments; the place is in it.
    """
    parser = _Parser(text.removeprefix("\ufeff"), file)
    value = parser.document()
    return value, parser.source, tuple(parser.warnings)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.keys: dict[Where, Span] = {}
        self.values: dict[Where, Span] = {}
        self.source = Source(file, text, self.keys, self.values)
        self.warnings: list[Problem] = []
        self.at = 0

    def document(self) -> Any:
        self.skip()
        if self.at == len(self.text):
            self.fail("the file is empty", help='write at least {"name": "my-app", "main": "app.py"}')
        value = self.value((), 0)
        self.skip()
        if self.at < len(self.text):
            self.fail("there is more after the end of the value", help="one value fills the whole file")
        return value

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None, "the pattern matches the empty text"
        self.at = match.end()
        if self.text.startswith("/*", self.at):
            self.fail("this comment is not closed", length=2, help="end it with */")

    def value(self, path: Where, depth: int) -> Any:
        if depth > DEPTH_MAX:
            self.fail(f"values are nested deeper than {DEPTH_MAX} levels")
        start = self.at
        char = self.text[start : start + 1]
        value: Any
        if char == "{":
            value = self.table(path, depth)
        elif char == "[":
            value = self.list(path, depth)
        elif char == '"':
            value = self.string()
        elif char == "-" or char.isdigit():
            value = self.number()
        else:
            value = self.word()
        self.values[path] = Span(start, self.at - start)
        return value

    def table(self, path: Where, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        opened = self.at
        self.at += 1
        while True:
            self.skip()
            if self.take("}"):
                return result
            start = self.at
            if self.text[start : start + 1] != '"':
                self.expected('a name in double quotes, or "}"', opened)
            name = self.string()
            span = Span(start, self.at - start)
            if name in result:
                self.warnings.append(
                    self.source.at_span(
                        span,
                        "config/duplicate-key",
                        f'"{name}" stands twice in this table; the last one counts',
                        severity="warning",
                    )
                )
            self.keys[(*path, name)] = span
            self.skip()
            if not self.take(":"):
                self.expected('":" after the name', opened)
            self.skip()
            result[name] = self.value((*path, name), depth + 1)
            self.skip()
            if not self.take(",") and self.text[self.at : self.at + 1] != "}":
                self.expected('"," or "}"', opened)

    def list(self, path: Where, depth: int) -> list[Any]:
        result: list[Any] = []
        opened = self.at
        self.at += 1
        while True:
            self.skip()
            if self.take("]"):
                return result
            result.append(self.value((*path, len(result)), depth + 1))
            self.skip()
            if not self.take(",") and self.text[self.at : self.at + 1] != "]":
                self.expected('"," or "]"', opened)

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self.fail(
                "this text has no closing quote on its line", help='end it with "; a line end is written \\n'
            )
        try:
            result = json.loads(match.group())
        except ValueError as error:
            at = self.at + getattr(error, "pos", 0)
            self.fail(
                "this backslash begins no escape that JSON knows",
                at=at,
                help='write \\\\ for a backslash; the escapes are \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX',
            )
        self.at = match.end()
        assert isinstance(result, str)
        return result

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        following = self.text[match.end() : match.end() + 1] if match else ""
        if match is None or following.isalnum() or following in {".", "_"}:
            self.fail("this is not a JSON number", help="write it like 12, -0.5 or 1e3")
        self.at = match.end()
        try:
            value = json.loads(match.group())
        except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
            self.at = match.start()
            self.fail("this number has too many digits", length=match.end() - match.start())
        assert isinstance(value, int | float)
        return value

    def word(self) -> bool | None:
        match = _WORD.match(self.text, self.at)
        if match is not None and match.group() in _WORDS:
            self.at = match.end()
            return _WORDS[match.group()]
        return self.no_value(match)

    def no_value(self, match: re.Match[str] | None) -> NoReturn:
        if self.at >= len(self.text):
            self.fail("the file ends where a value should stand")
        if match is not None:
            self.fail(
                f"{match.group()} is not a JSON value",
                length=len(match.group()),
                hint=f'did you mean "{match.group()}"?',
                help="texts stand in double quotes; the words are true, false and null",
            )
        if self.text[self.at] == "'":
            self.fail("JSON knows only double quotes", help="write the text in double quotes")
        self.fail(f"{self.text[self.at]!r} cannot begin a value")

    def take(self, char: str) -> bool:
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False

    def expected(self, what: str, opened: int) -> NoReturn:
        line = self.text.count("\n", 0, opened) + 1
        found = f"found {self.text[self.at]!r}" if self.at < len(self.text) else "the file ends here"
        self.fail(f"expected {what}; {found} (inside the {self.text[opened]!r} of line {line})")

    def fail(
        self,
        message: str,
        *,
        at: int | None = None,
        length: int = 1,
        hint: str | None = None,
        help: str | None = None,
    ) -> NoReturn:
        span = Span(self.at if at is None else at, length)
        raise ProblemsFound([self.source.at_span(span, "config/syntax", message, hint=hint, help=help)])
