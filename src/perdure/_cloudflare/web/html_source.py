"""HTML as a sequence of pieces, and selectors of elements: what HTMLRewriter works with. (pure)

No tree is built. What no handler asks about leaves as it came, byte for byte.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
"""Elements that have no content and no end tag."""
_RAW_TEXT: Final = frozenset("script style textarea title xmp iframe noembed noframes".split())
"""Elements whose content has no tags but their own end."""
# Possessive throughout: an unfinished tag is seen at one go, however long it is.
_MARKUP = re.compile(
    r"<!--(?P<comment>.*?)(?:-->|--!>|\Z)"
    r"|<!doctype(?P<doctype>[^>]*+)(?:>|\Z)"
    r"|</(?P<end>[a-z][^\s/>]*+)[^>]*+>"
    r"|<(?P<start>[a-z][^\s/>]*+)(?P<attributes>(?:[^>=]|=\s*+(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])))*+)>"
    r"|<[!?/][^>]*+>",
    re.IGNORECASE | re.DOTALL,
)
_OPENING = re.compile(r"<[a-z!?/]", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^\s=/\"'>][^\s=/>]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+)))?")
_DOCTYPE = re.compile(
    r"\s*(\S+)?(?:\s+(?:PUBLIC\s*(?:\"([^\"]*)\"|'([^']*)')\s*|SYSTEM\s*)(?:\"([^\"]*)\"|'([^']*)')?)?",
    re.IGNORECASE,
)


class Token(NamedTuple):
    """
    A piece of the source.

    Attributes:
        kind: "text", "comment", "doctype", "start", "end", or "other".
        source: as it was written.
        name: of a tag, in lower case; of other pieces what they say.
        attributes: what stands between name and end of a start tag.
    """

    kind: str
    source: str
    name: str = ""
    attributes: str = ""


def tokens(source: str) -> Iterator[Token]:
    """Iterate over the pieces of *source*; joined they are *source* again."""
    text_start = position = 0
    while (start := source.find("<", position)) >= 0:
        match = _MARKUP.match(source, start)
        if match is None:
            if _OPENING.match(source, start):
                break  # what never ends is text, and so is all after it
            position = start + 1
            continue
        if start > text_start:
            yield Token("text", source[text_start:start])
        text_start = position = match.end()
        kind = match.lastgroup or "other"
        if kind == "attributes":
            name = match["start"].lower()
            yield Token("start", match[0], name, match["attributes"])
            if name in _RAW_TEXT:
                position = _end_of_raw_text(source, position, name)
        else:
            said = "" if kind == "other" else match[kind]
            yield Token(kind, match[0], said.lower() if kind == "end" else said)
    if text_start < len(source):
        yield Token("text", source[text_start:])


def _end_of_raw_text(source: str, position: int, name: str) -> int:
    end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(source, position)
    return len(source) if end is None else end.start()


def read_attributes(source: str) -> dict[str, str]:
    """Return the attributes of a start tag, names in lower case; of a repeated one the first."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source):
        found.setdefault(
            match[1].lower(), next((value for value in match.groups()[1:] if value is not None), "")
        )
    return found


def read_doctype(said: str) -> tuple[str | None, str | None, str | None]:
    """Return name, public id and system id of a document type."""
    match = _DOCTYPE.match(said)
    if match is None:
        return None, None, None
    public = match[2] if match[2] is not None else match[3]
    system = match[4] if match[4] is not None else match[5]
    return match[1], public, system


# --- elements and selectors ----------------------------------------------------------------------------------


class Place:
    """
    An open element: what selectors ask about.

    Attributes:
        number: its place among the elements of its parent, from 1.
        number_of_type: the same among those of its name.
    """

    __slots__ = ("attributes", "children", "name", "number", "number_of_type", "parent")

    def __init__(self, name: str, attributes: dict[str, str], parent: Place | None) -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children: Counter[str] = Counter()
        self.number = self.number_of_type = 1
        if parent is not None:
            parent.children[name] += 1
            self.number = parent.children.total()
            self.number_of_type = parent.children[name]


_UNKNOWN: Final = "{whole!r} is no selector that HTMLRewriter knows, from {rest!r} on"

Test: TypeAlias = Callable[[Place], bool]

_SIMPLE = re.compile(
    r"(?P<name>\*|[a-z][\w-]*)"
    r"|#(?P<id>[\w-]+)"
    r"|\.(?P<class>[\w-]+)"
    r"|\[\s*(?P<attribute>[\w:-]+)\s*(?:(?P<how>[~^$*|]?=)\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\]]+))"
    r"\s*(?P<flag>[is])?\s*)?\]"
    r"|:(?P<place>first-child|first-of-type)"
    r"|:(?P<nth>nth-child|nth-of-type)\(\s*(?P<formula>[^)]*?)\s*\)"
    r"|:not\(\s*(?P<not>(?:[^()]|\([^()]*\))*?)\s*\)",
    re.IGNORECASE,
)
_COMBINATOR = re.compile(r"\s*(>)\s*|\s+")
_FORMULA = re.compile(r"(?:(?P<step>[+-]?\d*)n\s*)?(?P<offset>[+-]?\s*\d+)?")


def read_selector(text: str) -> Test:
    """
    Return the test of elements that *text* stands for.

    Raises:
        ValueError: it is no selector, or one of another kind.
    """
    alternatives = [_complex(part.strip(), text) for part in _split(text)]
    return lambda place: any(test(place) for test in alternatives)


def _split(text: str) -> list[str]:
    return re.split(r",(?![^\[]*\])(?![^(]*\))", text)


def _complex(part: str, whole: str) -> Test:
    test, position = _compound(part, 0, whole)
    while (match := _COMBINATOR.match(part, position)) is not None:
        compound, position = _compound(part, match.end(), whole)
        test = _inside(compound, test, is_child=match[1] is not None)
    if position < len(part):
        raise ValueError(_UNKNOWN.format(whole=whole, rest=part[position:]))
    return test


def _inside(compound: Test, outer: Test, is_child: bool) -> Test:
    def test(place: Place) -> bool:
        if not compound(place):
            return False
        ancestor = place.parent
        while ancestor is not None and ancestor.name:  # the document itself is no element
            if outer(ancestor):
                return True
            ancestor = None if is_child else ancestor.parent
        return False

    return test


def _compound(part: str, position: int, whole: str) -> tuple[Test, int]:
    tests: list[Test] = []
    while (match := _SIMPLE.match(part, position)) is not None and (not tests or match["name"] is None):
        tests.append(_simple(match))
        position = match.end()
    if not tests:
        raise ValueError(_UNKNOWN.format(whole=whole, rest=part[position:]))
    return lambda place: all(test(place) for test in tests), position


def _simple(match: re.Match[str]) -> Test:
    if match["name"] is not None:
        name = match["name"].lower()
        return lambda place: name in ("*", place.name)
    if match["id"] is not None:
        return _attribute("id", "=", match["id"], False)
    if match["class"] is not None:
        return _attribute("class", "~=", match["class"], False)
    if match["attribute"] is not None:
        value = next((match[each] for each in ("double", "single", "bare") if match[each] is not None), "")
        return _attribute(
            match["attribute"].lower(), match["how"], value, (match["flag"] or "").lower() == "i"
        )
    if match["place"] is not None:
        return _nth(match["place"].lower().endswith("type"), "1")
    if match["nth"] is not None:
        return _nth(match["nth"].lower().endswith("type"), match["formula"])
    inner = read_selector(match["not"])
    return lambda place: not inner(place)


def _attribute(name: str, how: str | None, wanted: str, ignore_case: bool) -> Test:
    def fold(text: str) -> str:
        return text.lower() if ignore_case else text

    wanted = fold(wanted)
    compare: dict[str | None, Callable[[str], bool]] = {
        None: lambda value: True,
        "=": lambda value: value == wanted,
        "~=": lambda value: wanted in value.split(),
        "^=": lambda value: bool(wanted) and value.startswith(wanted),
        "$=": lambda value: bool(wanted) and value.endswith(wanted),
        "*=": lambda value: bool(wanted) and wanted in value,
        "|=": lambda value: value == wanted or value.startswith(wanted + "-"),
    }
    test = compare[how]
    return lambda place: name in place.attributes and test(fold(place.attributes[name]))


def _nth(of_type: bool, formula: str) -> Test:
    formula = {"odd": "2n+1", "even": "2n"}.get(formula.lower(), formula.lower())
    match = _FORMULA.fullmatch(formula)
    if match is None or not formula:
        raise ValueError(
            f"{formula!r} is no place that HTMLRewriter knows: write a number, odd, even, or an+b"
        )
    step = (
        0
        if match["step"] is None
        else int(f"{match['step']}1" if match["step"] in ("", "+", "-") else match["step"])
    )
    offset = int((match["offset"] or "0").replace(" ", ""))

    def test(place: Place) -> bool:
        number = (place.number_of_type if of_type else place.number) - offset
        return number == 0 if not step else number % step == 0 and number // step >= 0

    return test
