"""A text of several SQL statements, taken apart before SQLite has to know what they are about. (pure)

SQLite itself parses one statement at a time, and only when the tables are there that it names. A file of a database's
contents is longer than one statement may be, and whoever runs it wants to know which statement failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from perdure._base.limits import SQL_STATEMENT_BYTES_MAX
from perdure._storage.database import is_complete

# Nothing is tried a second time: a line of dashes has very many ways to be comments.
_COMMENT: Final = r"(?:--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z))"  # one that is open ends with the text
SPACE: Final = rf"(?:\s++|{_COMMENT})"
# A doubled quote within quotes is an end and a beginning. One that nothing closes hides no semicolons, so that a statement
# near it is the one that fails.
_TOKEN: Final = re.compile(rf"""'[^']*+'|"[^"]*+"|`[^`]*+`|\[[^\]]*+(?:\]|\Z)|{_COMMENT}|;""")
_TRIGGER: Final = re.compile(rf"{SPACE}*+create{SPACE}++(?:temp(?:orary)?{SPACE}++)?trigger\b", re.IGNORECASE)
_NOTHING: Final = re.compile(rf"(?:{SPACE}|;)*+")


def statements_of(text: str) -> Iterator[str]:
    """Yield the statements of *text*, with the comments before them; what has only comments is none."""
    start = 0
    for token in _TOKEN.finditer(text):
        if token[0] != ";":
            continue
        statement = text[start : token.end()]
        # Of one that SQLite refuses for its length nobody has to know where it ends.
        is_short = len(statement) <= SQL_STATEMENT_BYTES_MAX
        if is_short and _TRIGGER.match(statement) and not is_complete(statement):
            continue  # it ends one of the trigger's statements
        start = token.end()
        if not is_blank(statement):
            yield statement.strip()
    if not is_blank(text[start:]):
        yield text[start:].strip()


def is_blank(text: str) -> bool:
    """Tell whether there is no statement in *text*: nothing but spaces, semicolons and comments."""
    return _NOTHING.fullmatch(text) is not None
