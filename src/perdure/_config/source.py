"""Where each key and value of a configuration file stands, so that a problem can point at it. (pure)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perdure._config.problem import Problem, Severity

Where = tuple[str | int, ...]
"""The way to a value: names of tables and indices of lists, from the root of the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text: offset of its first character and number of characters."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file, and the spans of the keys and values in it."""

    file: str
    """As it is shown: relative to where the command was given, when that is shorter."""
    text: str
    keys: Mapping[Where, Span] = field(default_factory=dict)
    values: Mapping[Where, Span] = field(default_factory=dict)

    def problem(
        self,
        code: str,
        message: str,
        at: Where | None = None,
        *,
        key: bool = False,
        severity: Severity = "error",
        hint: str | None = None,
        help: str | None = None,
    ) -> Problem:
        """Return a problem that points at the value at *at* (or, with `key`, at its name)."""
        return self.at_span(self.span(at, key=key), code, message, severity=severity, hint=hint, help=help)

    def span(self, at: Where | None, *, key: bool = False) -> Span | None:
        """Return the place of a value or key; of the nearest thing around it when it has none of its own."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        while at:
            found = first.get(at) or second.get(at)
            if found is not None:
                return found
            at, first, second = at[:-1], self.keys, self.values
        return None

    def at_span(
        self,
        span: Span | None,
        code: str,
        message: str,
        *,
        severity: Severity = "error",
        hint: str | None = None,
        help: str | None = None,
    ) -> Problem:
        """Return a problem that points at a place of the text."""
        if span is None:
            return Problem(code, message, severity, self.file, hint=hint, help=help)
        line, column, source = locate(self.text, span.start)
        return Problem(
            code,
            message,
            severity,
            self.file,
            line,
            column,
            # A value may span lines; the caret stays on the first.
            max(1, min(span.length, len(source) - column + 1)),
            source,
            hint,
            help,
        )


def locate(text: str, offset: int) -> tuple[int, int, str]:
    """Return line and column (from 1) of an offset, and that line's text."""
    offset = min(offset, len(text))
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return (
        text.count("\n", 0, offset) + 1,
        offset - start + 1,
        text[start : end if end >= 0 else len(text)].rstrip("\r"),
    )
