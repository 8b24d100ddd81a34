"""`.assetsignore`: which files of the folder are served to nobody, in the form of `.gitignore`. (pure)

Served to nobody in any case: the files of rules themselves, and what holds secrets or data where the folder is the
project's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

IGNORE_FILE: Final = ".assetsignore"
ALWAYS: Final = """
/.assetsignore
/_headers
/_redirects
.dev.vars*
.env*
.git
.perdure*
.wrangler
"""


def ignored(text: str) -> Callable[[str], bool]:
    """Return whether a file, as its path below the folder without a slash in front, is served to nobody."""
    rules = [(rule, is_again) for rule, is_again in map(_rule, text.splitlines()) if rule is not None]
    # Some file systems find `.ENV` as `.env`.
    always = [
        re.compile(rule.pattern, re.IGNORECASE) for rule, _ in map(_rule, ALWAYS.split()) if rule is not None
    ]

    def is_ignored(path: str) -> bool:
        if any(rule.match(path) for rule in always):
            return True
        hidden = False
        for rule, is_again in rules:
            if rule.match(path):
                hidden = not is_again
        return hidden

    return is_ignored


def _rule(line: str) -> tuple[re.Pattern[str] | None, bool]:
    """Return what matches a file or anything below a folder, and whether it is served after all (`!`)."""
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None, False
    is_again = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    is_folder = text.endswith("/")
    text = text.rstrip("/")
    if not text:
        return None, False
    anchored = "/" in text
    pattern = _regex(text.removeprefix("/"))
    try:
        # A file, or what is below a folder of that name; with a slash at the end the latter alone.
        return re.compile(
            f"{'' if anchored else '(?:.*/)?'}{pattern}{'/' if is_folder else '(?:/|$)'}"
        ), is_again
    except re.error:  # a class of characters that is none
        return None, False


def _regex(text: str) -> str:
    result = ""
    for part in re.split(r"(/\*\*/|\*\*/|/\*\*|\*\*|\*|\?|\[[^\]]+\])", text):
        match part:
            case "/**/":
                result += "/(?:.*/)?"
            case "**/":
                result += "(?:.*/)?"
            case "/**":
                result += "/.*"
            case "**":
                result += ".*"
            case "*":
                result += "[^/]*"
            case "?":
                result += "[^/]"
            case _ if part.startswith("[") and part.endswith("]"):
                result += (
                    "["
                    + part[1:-1]
                    .replace("\\", "\\\\")
                    .replace("[", "\\[")
                    .replace("!", "^", 1 if part[1] == "!" else 0)
                    + "]"
                )
            case _:
                result += re.escape(part)
    return result
