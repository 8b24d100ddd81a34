"""Reads one table of a configuration: checks types, tells of unknown keys, collects every problem. (pure)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perdure._config.problem import Problem, did_you_mean
from perdure._config.source import Source, Where

_KINDS: dict[type, str] = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Reader:
    """
    One table with its place in the file. Each method returns a value of the right type or its default; what
    is wrong is added to `problems`, so that one run shows all of it.
    """

    def __init__(self, table: Mapping[str, Any], at: Where, source: Source, problems: list[Problem]) -> None:
        self.table = table
        self.at = at
        self.source = source
        self.problems = problems

    def __contains__(self, name: str) -> bool:
        return name in self.table

    def add(self, code: str, message: str, *below: str | int, key: bool = False, **more: Any) -> None:
        """Note a problem at a key below this table."""
        self.problems.append(self.source.problem(code, message, (*self.at, *below), key=key, **more))

    def text(self, name: str, *, required: bool = False, help: str | None = None) -> str | None:
        """Return a text that is not empty, or None."""
        if name not in self.table:
            if required:
                self.missing(name, help)
            return None
        value = self.table[name]
        if isinstance(value, str) and value:
            return value
        self.wrong(name, "a text" if not isinstance(value, str) else "a text that is not empty", value)
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; an absent one is empty."""
        result = []
        for index, value in enumerate(self.list_of(name)):
            if isinstance(value, str) and value:
                result.append(value)
            else:
                self.wrong(name, "a text", value, index)
        return tuple(result)

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a table as it is; an absent one is empty."""
        value = self.table.get(name, {})
        if isinstance(value, dict):
            return value
        self.wrong(name, "a table", value)
        return {}

    def list_of(self, name: str) -> list[Any]:
        """Return a list as it is; an absent one is empty."""
        value = self.table.get(name, [])
        if isinstance(value, list):
            return value
        self.wrong(name, "a list", value)
        return []

    def below(self, name: str) -> Reader:
        """Return the reader of a table in this one."""
        return Reader(self.mapping(name), (*self.at, name), self.source, self.problems)

    def tables(self, name: str) -> Iterator[Reader]:
        """Yield the readers of a list of tables."""
        for index, value in enumerate(self.list_of(name)):
            if isinstance(value, dict):
                yield Reader(value, (*self.at, name, index), self.source, self.problems)
            else:
                self.wrong(name, "a table", value, index)

    def missing(self, name: str, help: str | None = None) -> None:
        """Note that a key has to be there."""
        inside = f' in "{_dotted(self.at)}"' if self.at else ""
        self.add("config/missing-key", f'"{name}" is missing{inside}', help=help)

    def wrong(self, name: str, expected: str, found: object, *below: str | int) -> None:
        """Note that a value has the wrong type."""
        if isinstance(found, str):
            shown = f'the text "{found}"' if found else "an empty text"
        else:
            shown = _KINDS.get(type(found), f"a {type(found).__name__}")
        dotted = _dotted((*self.at, name, *below))
        self.add("config/wrong-type", f'"{dotted}" must be {expected}, found {shown}', name, *below)

    def refuse_unknown(self, known: tuple[str, ...], unused: tuple[str, ...] = ()) -> list[str]:
        """Warn about keys nobody reads; return those which are Cloudflare's, but mean nothing here."""
        found_unused = []
        for name in self.table:
            if name in known:
                continue
            if name in unused:
                found_unused.append(name)
                continue
            dotted = _dotted((*self.at, name))
            self.add(
                "config/unknown-key",
                f'"{dotted}" is not a key that Perdure knows; it is ignored',
                name,
                key=True,
                severity="warning",
                hint=did_you_mean(name, (*known, *unused)),
                help=None if did_you_mean(name, (*known, *unused)) else f"known here: {', '.join(known)}",
            )
        return found_unused


def _dotted(at: Where) -> str:
    text = ""
    for step in at:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
