"""Which walk through a program fits what SQLite told of its run. (pure)

SQLite tells how many steps a statement took, how many of them advanced a full scan, how often it sorted, how
many rows it gave and changed. A walk through the program is a way from start to end and any number of rounds
in the loops it touches. Few walks fit all the figures, and nearly always they agree on the rows read and
written. Where they do not, the one that read most is taken: a search in an index mostly ends on an entry
past what it looks for. What is too large to search is estimated (`estimate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import add
from typing import Final, NamedTuple

from perdure._storage.metering.program import FULL_SCAN, ODD, READ, SORTS, WRITTEN, Edge, Program, Tally

Facts = Mapping[int, int]
"""Places of a tally, and what they must add up to."""

_WAYS_MAX: Final = 3_000  # steps of the search for ways and loops; small statements take a few dozen
_ROUNDS_MAX: Final = 2_000  # and of the search for rounds


class Counts(NamedTuple):
    """Rows read and written."""

    read: int
    written: int


class Way(NamedTuple):
    """A way through the program, or once around a loop."""

    tally: Tally
    points: frozenset[int]
    shared: frozenset[int]
    """Points of subroutines."""


class _TooLarge(Exception):
    pass


class Walks:
    """The ways and loops of one program; made once, asked for each run."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._out: dict[int, list[Edge]] = {}
        for edge in program.edges:
            self._out.setdefault(edge.start, []).append(edge)
        self._left = _WAYS_MAX
        self._zero = (0,) * program.tally_size
        try:
            self._ways = self._distinct(self._find(program.start, program.end))
            self._loops = self._distinct(
                loop for at in sorted(self._out) for loop in self._find(at, at, lowest=at)
            )
        except _TooLarge:
            self._ways = self._loops = []

    def counts(self, facts: Facts, *, finished: bool = True) -> Counts | None:
        """Return what the walks that fit *facts* read and wrote; None if none fits, or it is too much to tell."""
        kinds = self.program.places
        exact = dict(facts) | dict.fromkeys(kinds["coroutine"], 0)
        if finished:
            exact |= dict.fromkeys(kinds["return"], 0)
            found = self._fits(exact | dict.fromkeys(kinds["store"], 0))
            if found:
                return _likeliest(found)
        return _likeliest(self._fits(exact))

    def _find(self, start: int, end: int, lowest: int = -1) -> Iterator[Way]:
        """Yield each way from *start* to *end* that meets no point twice, nor one below *lowest*."""
        crossings, shared = self.program.crossings, self.program.shared
        stack = [(start, self._zero, frozenset((start,)))]
        while stack:
            self._left -= 1
            if not self._left:
                raise _TooLarge
            at, tally, points = stack.pop()
            for edge in self._out.get(at, ()):
                total = tuple(map(add, tally, edge.tally))
                met = points | edge.meets
                if edge.end == end:
                    yield Way(total, met - crossings - shared, met & shared)
                elif edge.end not in points and edge.end > lowest:
                    stack.append((edge.end, total, met | {edge.end}))

    @staticmethod
    def _distinct(ways: Iterator[Way]) -> list[Way]:
        """Keep one of ways that count alike and meet the same points."""
        return sorted(set(ways), key=lambda way: way.tally)

    def _fits(self, facts: Facts) -> set[tuple[int, int, int]]:
        """Return what each walk counts whose tally is as *facts* say."""
        search = _Search(self.program, list(facts), self._loops)
        for way in self._ways:
            search.from_way(way, tuple(facts[place] - way.tally[place] for place in facts))
        return search.found


class _Search:
    """
    Looks for numbers of rounds in each loop that make up what is left of the figures.

    Loops stand in such an order that figures are settled early: when no later loop touches a figure, the
    rounds of this one follow from it.
    """

    def __init__(self, program: Program, places: list[int], loops: list[Way]) -> None:
        self._loops = _in_order([(tuple(loop.tally[place] for place in places), loop) for loop in loops])
        self._places = program.places
        self.found: set[tuple[int, int, int]] = set()
        self._left = _ROUNDS_MAX
        # For each loop: the figures that it or loops after it raise, and lower.
        self._later: list[tuple[set[int], set[int]]] = [(set(), set())]
        for figures, _ in reversed(self._loops):
            up, down = self._later[-1]
            self._later.append(
                (
                    up | {index for index, figure in enumerate(figures) if figure > 0},
                    down | {index for index, figure in enumerate(figures) if figure < 0},
                )
            )
        self._later.reverse()

    def from_way(self, way: Way, left: Tally) -> None:
        self._go(0, left, way.tally, way, [])

    def _go(self, index: int, left: Tally, total: Tally, way: Way, used: list[Way]) -> None:
        self._left -= 1
        if self._left < 0:
            return
        if not any(left):
            if self._is_possible(total) and _touches(way, used):
                self.found.add((-total[ODD], total[WRITTEN], total[READ]))
            return
        up, down = self._later[index]
        if any(
            (figure > 0 and place not in up) or (figure < 0 and place not in down)
            for place, figure in enumerate(left)
        ):
            return
        figures, loop = self._loops[index]
        for rounds in self._rounds(index, figures, left):
            if rounds:
                rest = tuple([have - rounds * figure for have, figure in zip(left, figures, strict=True)])
                whole = tuple([one + rounds * other for one, other in zip(total, loop.tally, strict=True)])
                self._go(index + 1, rest, whole, way, [*used, loop])
            else:
                self._go(index + 1, left, total, way, used)

    def _rounds(self, index: int, figures: Tally, left: Tally) -> Iterable[int]:
        """The rounds of a loop that are worth a try."""
        up, down = self._later[index + 1]
        most = None
        for place, figure in enumerate(figures):
            if figure and place not in down and (figure > 0 or place not in up):
                rounds, rest = divmod(left[place], figure)
                if place not in up:  # nobody else can settle this figure
                    return () if rest or rounds < 0 else (rounds,)
                most = rounds if most is None else min(most, rounds)
        return range(max(most or 0, 0), -1, -1)

    def _is_possible(self, total: Tally) -> bool:
        return all(total[place] >= 0 for place in self._places["store"]) and all(
            total[place] <= 1 for place in self._places["once"]
        )


def _in_order(loops: list[tuple[Tally, Way]]) -> list[tuple[Tally, Way]]:
    """Put first the loops that touch the figure which the fewest touch, and so on."""
    ordered = []
    while loops:
        touching = [
            touches
            for place in range(len(loops[0][0]))
            if (touches := [loop for loop in loops if loop[0][place]])
        ]
        if not touching:
            break  # what touches no figure at all cannot be told, and is taken not to have run
        first = min(touching, key=len)
        ordered += first
        loops = [loop for loop in loops if loop not in first]
    return ordered


def _likeliest(found: set[tuple[int, int, int]]) -> Counts | None:
    if not found:
        return None
    _, written, read = max(found)
    return Counts(read, written)


def _touches(way: Way, loops: list[Way]) -> bool:
    """Whether each loop can be reached from the way, perhaps over others."""
    points, shared = way.points, way.shared
    rest = loops
    while rest:
        near = [loop for loop in rest if (loop.points & points if loop.points else loop.shared & shared)]
        if not near:
            return False
        points = points.union(*(loop.points for loop in near))
        shared = shared.union(*(loop.shared for loop in near))
        rest = [loop for loop in rest if loop not in near]
    return True


def estimate(program: Program, facts: Facts, rows: int, changes: int) -> Counts:
    """Return about how many rows were read and written, from the figures alone."""
    scanned = facts.get(FULL_SCAN, 0)
    read = max(rows, scanned + bool(scanned)) + facts.get(SORTS, 0)
    return Counts(read if program.reads else 0, changes)
