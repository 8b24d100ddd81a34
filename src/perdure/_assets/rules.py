"""`_redirects` and `_headers`: rules in the folder itself about its paths. (pure)

    # _redirects: from, to, and a status: 301, 302 (the default), 303, 307, 308, or 200 to answer with another path's file
    /old/*          /new/:splat           301
    /users/:name    /people/?who=:name

    # _headers: a pattern, and below it what the files there are sent with; "!" takes away what a rule before added
    /fonts/*
      Access-Control-Allow-Origin: *
      ! X-Frame-Options

`*` stands for anything, once in a pattern, and is `:splat` on the other side; `:name` is one part of a path. A pattern may
be a whole URL, whose host has to be the request's. Of redirects the first that matches counts; of headers all do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

STATUSES: Final = (200, 301, 302, 303, 307, 308)
REDIRECTS_MAX: Final = 2100
HEADER_RULES_MAX: Final = 100
LINE_CHARS_MAX: Final = 2000

_PLACEHOLDER: Final = re.compile(r":([A-Za-z]\w*)")
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that is no rule, and why."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """One line of `_redirects`."""

    pattern: re.Pattern[str]
    to: str
    status: int


@dataclass(slots=True)
class HeaderRule:
    """One block of `_headers`."""

    pattern: re.Pattern[str]
    add: list[tuple[str, str]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


def pattern_of(text: str) -> re.Pattern[str]:
    """Return what matches a path, or a whole URL without its query, as *text* says."""
    whole = ""
    for part in re.split(r"(\*|:[A-Za-z]\w*)", _in_url(text)):
        if part == "*":
            whole += "(?P<splat>.*)"
        elif _PLACEHOLDER.fullmatch(part):
            whole += f"(?P<{part[1:]}>[^/]+)"
        else:
            whole += re.escape(part)
    return re.compile(whole)


def parse_redirects(text: str) -> tuple[list[Redirect], list[Wrong]]:
    """Return the rules in their order, and what is wrong."""
    rules: list[Redirect] = []
    wrong: list[Wrong] = []
    for number, line in _lines(text):
        words = line.split()
        why = _wrong_redirect(line, words)
        if why is None and len(rules) == REDIRECTS_MAX:
            why = f"there may be {REDIRECTS_MAX} redirects"
        if why is not None:
            wrong.append(Wrong(number, why))
            continue
        try:
            pattern = pattern_of(words[0])
        except re.error:
            wrong.append(Wrong(number, "* stands once in a pattern, and a name once"))
            continue
        rules.append(Redirect(pattern, _in_url(words[1]), int(words[2]) if len(words) > 2 else 302))
    return rules, wrong


def _wrong_redirect(line: str, words: list[str]) -> str | None:
    if len(line) > LINE_CHARS_MAX:
        return f"a line has {LINE_CHARS_MAX} characters at most"
    if not 2 <= len(words) <= 3:
        return "a redirect is: from, to, and perhaps a status"
    if not _is_place(words[0]) or not _is_place(words[1]):
        return 'from and to begin with "/", or with "https://"'
    if len(words) > 2 and words[2] not in map(str, STATUSES):
        return f"the status is one of {', '.join(map(str, STATUSES))}"
    if words[2:] == ["200"] and not words[1].startswith("/"):
        return "only a path can be answered with status 200"
    return None


def parse_headers(text: str) -> tuple[list[HeaderRule], list[Wrong]]:
    """Return the rules in their order, and what is wrong."""
    rules: list[HeaderRule] = []
    wrong: list[Wrong] = []
    for number, line in _lines(text):
        if len(line) > LINE_CHARS_MAX:
            wrong.append(Wrong(number, f"a line has {LINE_CHARS_MAX} characters at most"))
        elif _is_place(line):
            try:
                rules.append(HeaderRule(pattern_of(line)))
            except re.error:
                wrong.append(Wrong(number, "* stands once in a pattern, and a name once"))
        elif not rules:
            wrong.append(Wrong(number, "a pattern such as /* comes first"))
        elif line.startswith("!") and _TOKEN.fullmatch(line[1:].strip()):
            rules[-1].remove.append(line[1:].strip().lower())
        else:
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not (colon and value and _TOKEN.fullmatch(name) and value.isprintable()):
                wrong.append(Wrong(number, "a header is: Name: value"))
            elif max(value) > "\xff":
                wrong.append(Wrong(number, "headers are sent as Latin-1: write other characters in percents"))
            else:
                rules[-1].add.append((name.lower(), value))
    if len(rules) > HEADER_RULES_MAX:
        wrong.append(Wrong(1, f"there may be {HEADER_RULES_MAX} patterns; the first are used"))
    return rules[:HEADER_RULES_MAX], wrong


def redirected(path: str, host: str, rules: Iterable[Redirect]) -> tuple[str, int] | None:
    """Return where the first rule that matches leads, and its status."""
    for rule in rules:
        match = _match(rule.pattern, path, host)
        if match is not None:
            to = _filled(rule.to, match)
            # What stands in a path must not make another host of it: //elsewhere/.
            return (re.sub(r"^[/\\]+", "/", to) if rule.to.startswith("/") else to), rule.status
    return None


def headers_for(path: str, host: str, rules: Iterable[HeaderRule]) -> tuple[dict[str, str], set[str]]:
    """Return the headers to set, several values of one with commas between, and those to take away."""
    found: dict[str, str] = {}
    removed: set[str] = set()
    for rule in rules:
        match = _match(rule.pattern, path, host)
        if match is None:
            continue
        for name in rule.remove:
            found.pop(name, None)
            removed.add(name)
        own: dict[str, str] = {}
        for name, value in rule.add:
            filled = _filled(value, match)
            own[name] = f"{own[name]}, {filled}" if name in own else filled
        for name, value in own.items():
            found[name] = f"{found[name]}, {value}" if name in found else value
            removed.discard(name)
    return found, removed


def _lines(text: str) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _is_place(text: str) -> bool:
    return text.startswith(("/", "https://"))


def _in_url(text: str) -> str:
    """Return *text* as paths of requests and headers have it: what is not ASCII in percents."""
    return quote(text, safe=_ASCII)


def _match(pattern: re.Pattern[str], path: str, host: str) -> re.Match[str] | None:
    if pattern.pattern.startswith("https:"):
        return pattern.fullmatch(f"https://{host}{path}")
    return pattern.fullmatch(path)


def _filled(text: str, match: re.Match[str]) -> str:
    found = match.groupdict()
    return _PLACEHOLDER.sub(lambda name: found.get(name[1]) or ("" if name[1] in found else name[0]), text)
