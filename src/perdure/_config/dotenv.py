r"""`.env` and `.dev.vars` files: `NAME=value` lines. (pure)

    # a comment
    export NAME=value            # so is this
    QUOTED="one\ntwo"            escapes: \n \r \t \" \\ \$
    RAW='as it stands $HOME'      no escapes
    LONG="several
    lines"

Values are texts. Nothing is interpolated: `$NAME` stays as it is.
"""

from __future__ import annotations

import re

from perdure._config.problem import Problem
from perdure._config.source import Source, Span

# A run of blanks is taken as one: from each of them to look for the line's end would take their square.
_LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*
    (?:"(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | `(?P<back>[^`]*)` | (?P<bare>(?:[^ \t\n]|[ \t]++)*?))
    [ \t]*(?:(?<![^\s"'`])\#[^\n]*)?(?:\r?\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str, file: str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return the values, the last one of a name counting, and a problem for each line that is none."""
    text = text.removeprefix("\ufeff")
    source = Source(file, text)
    values: dict[str, str] = {}
    problems: list[Problem] = []
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        line = _LINE.match(text, at)
        if line is not None and not _has_open_quote(line):
            values[line["name"]] = _value(line)
            at = line.end()
            continue
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        problems.append(
            source.at_span(
                Span(at, end - at),
                "config/syntax",
                "this quote is not closed" if line else "this line is not NAME=value",
                help="end it with the same quote, or leave both out" if line else "begin comments with #",
            )
        )
        at = end + 1
    return values, tuple(problems)


def _has_open_quote(line: re.Match[str]) -> bool:
    return line["bare"] is not None and line["bare"][:1] in {'"', "'", "`"}


def _value(line: re.Match[str]) -> str:
    if line["double"] is not None:
        return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), line["double"])
    for quoted in ("single", "back"):
        if line[quoted] is not None:
            return line[quoted]
    return line["bare"]
