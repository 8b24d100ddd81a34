"""A text of several SQL statements, taken apart before SQLite has to know what they are about. (pure)

SQLite itself parses one statement at a time, and only when the tables are there that it names. A file of a database's
contents is longer than one statement may be, and whoever runs it wants to know which statement failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from perdure._storage.database import is_complete

_COMMENT: Final = r"(?:--[^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/|\Z))"  # one that is open ends with the text
_TOKEN: Final = re.compile(rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|{_COMMENT}|;""")
_TRIGGER: Final = re.compile(rf"(?:\s|{_COMMENT})*create\s+(?:temp(?:orary)?\s+)?trigger\b", re.IGNORECASE)
_NOTHING: Final = re.compile(rf"(?:[\s;]|{_COMMENT})*")


def statements_of(text: str) -> Iterator[str]:
    """Yield the statements of *text*, with the comments before them; what has only comments is none."""
    start = 0
    for token in _TOKEN.finditer(text):
        if token[0] != ";":
            continue
        statement = text[start : token.end()]
        if _TRIGGER.match(statement) and not is_complete(statement):
            continue  # it ends one of the trigger's statements
        start = token.end()
        if not is_blank(statement):
            yield statement.strip()
    if not is_blank(text[start:]):
        yield text[start:].strip()


def is_blank(text: str) -> bool:
    """Tell whether there is no statement in *text*: nothing but spaces, semicolons and comments."""
    return _NOTHING.fullmatch(text) is not None
