"""The program of a statement, as EXPLAIN lists it: which step may follow which, and what each one counts. (pure)

SQLite compiles a statement into a program. workerd carries a patch that counts rows in the steps of that
program; the same steps are named here (`_tally`), so that whoever knows how often each one ran knows the
counters. Steps that always follow one another are one edge of the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Any, Final, NamedTuple

STEPS, FULL_SCAN, SORTS, AUTO_INDEX, ROWS, CHANGES, INSERTS, UPDATES, DELETES, READ, ODD, WRITTEN = range(12)
"""Places in a tally. Behind them come those of `Program.places`."""

Tally = tuple[int, ...]

_JUMPS: Final = frozenset(
    """
    MustBeInt Once If IfNot IsType NotNull IsNull Ne Eq Gt Le Lt Ge ElseEq IfNullRow SeekLT SeekLE SeekGE SeekGT
    IfNotOpen IfNoHope NoConflict NotFound Found SeekRowid NotExists Last IfSizeBetween SorterSort Sort Rewind
    IfEmpty SorterNext Prev Next IdxLE IdxGT IdxLT IdxGE RowSetRead RowSetTest FkIfZero IfPos IfNotZero
    DecrJumpZero IncrVacuum VFilter VNext Filter SorterCompare
    """.split()
)
"""Steps that go on behind themselves or at P2."""
_SEEKS: Final = frozenset({"SeekLT", "SeekLE", "SeekGE", "SeekGT"})
_STARTS: Final = frozenset({"Rewind", "Last", "Sort", "SorterSort"})
_ADVANCES: Final = frozenset({"Next", "Prev", "SorterNext"})
_OPENS: Final = frozenset({"OpenRead", "OpenWrite", "ReopenIdx"})
_PUTS: Final = frozenset({"Insert", "IdxInsert", "SorterInsert"})
_TEMPORARY: Final = frozenset({"OpenEphemeral", "OpenAutoindex", "OpenDup", "OpenPseudo", "SorterOpen"})

_SEEK_EQUAL: Final = 2  # P5 of an open: the cursor only looks for exact keys
_COUNTS_CHANGE, _IS_UPDATE, _IS_NO_OPERATION = 1, 4, 64  # flags of Insert and Delete
_BY_FULL_SCAN, _BY_AUTO_INDEX = 1, 3  # P5 of Next


class Step(NamedTuple):
    """One instruction."""

    name: str
    p1: int
    p2: int
    p3: int
    p5: int
    part: int
    """0 for the main program, then one number for each trigger."""


class Edge(NamedTuple):
    """Steps from one branching point to the next."""

    start: int
    end: int
    tally: Tally
    meets: frozenset[int] = frozenset()
    """Stops of coroutines, and callers of subroutines, that are left or come back to on the way."""


class Program:
    """
    A statement's program.

    Attributes:
        edges: the graph, from `start` to `end`.
        is_known: whether the graph says all that can happen; else nothing can be concluded from it.
        places: further places in a tally, by what they are for:
            "coroutine": starts that are due, less those made; 0 in every walk;
            "return": returns to one caller that are due; 0 in every walk that ends;
            "store": rows put into a temporary table, less rows taken out; never below 0, and mostly 0 at the end;
            "once": how often a step that runs once ran.
        counted: root pages of the tables whose size a step asks for (`SELECT count(*)`).
        crossings: points where a caller hands over to a coroutine and takes up again: walks that pass one do not
            touch there, but where the coroutine stopped.
        shared: points of subroutines: walks that pass one for different callers do not touch there.
        reads: it opens a table that is not a temporary one.
        clears: a step empties a whole table.
        has_virtual: a step writes to a virtual table, whose own tables count as changed too.
    """

    def __init__(self, rows: Iterable[Sequence[Any]], *, ends_early: bool = False) -> None:
        """Read the rows of EXPLAIN; *ends_early*: the run stopped when it had given a row."""
        self._steps = list(_read(rows))
        self._parts = [
            at for at, step in enumerate(self._steps) if at == 0 or step.part != self._steps[at - 1].part
        ]
        self._calls = self._all("Program")
        self.is_known = len(self._calls) == len(self._parts) - 1
        roots = {(s.part, s.p1): s.p2 for s in self._steps if s.name in ("OpenRead", "OpenWrite")}
        self.counted = [roots.get((s.part, s.p1), 0) for s in self._steps if s.name == "Count"]
        self.reads = any(s.name in _OPENS or s.name == "VOpen" for s in self._steps)
        self.clears = any(s.name == "Clear" and s.p3 for s in self._steps)
        self.has_virtual = any(s.name == "VUpdate" for s in self._steps)
        self.crossings: set[int] = set()
        self.shared = self._shared()
        self._exact = {(s.part, s.p1) for s in self._steps if s.name in _OPENS and s.p5 & _SEEK_EQUAL}
        self._temporary = {(s.part, s.p1) for s in self._steps if s.name in _TEMPORARY}
        self._entries: dict[tuple[int, int], list[int]] = defaultdict(list)
        for s in self._steps:
            if s.name == "InitCoroutine":
                self._entries[s.part, s.p1].append(self._parts[s.part] + s.p3)
        # A coroutine is set up where it stands, and often once more where it is used: then that one counts.
        self._set_again = {(s.part, s.p1) for s in self._steps if s.name == "InitCoroutine" and not s.p2}
        self._places = {
            key: WRITTEN + 1 + index for index, key in enumerate(dict.fromkeys(self._place_keys()))
        }
        self.places: dict[str, list[int]] = defaultdict(list)
        for (kind, *_), place in self._places.items():
            self.places[kind].append(place)
        self.tally_size = WRITTEN + 1 + len(self._places)
        self.start, self.end = len(self._steps), len(self._steps) + 1
        self.edges = self._graph(ends_early) if self.is_known and self._steps else []

    def _place_keys(self) -> Iterator[tuple[str, int, int]]:
        stores = [
            {(s.part, s.p1) for s in self._steps if s.name in names}
            for names in (_PUTS | {"RowSetAdd"}, _ADVANCES | {"RowSetRead"})
        ]
        rowsets = {(s.part, s.p1) for s in self._steps if s.name == "RowSetAdd"}
        for part, number in sorted(stores[0] & stores[1] & (self._temporary | rowsets)):
            yield "store", part, number
        for at, step in enumerate(self._steps):
            if step.name == "InitCoroutine":
                yield "coroutine", step.part, step.p1
            elif step.name == "Gosub":
                yield "return", step.part, at
            elif step.name == "Once":
                yield "once", step.part, at

    # --- what follows what ----------------------------------------------------------------------------

    def _all(self, name: str) -> list[int]:
        return [at for at, step in enumerate(self._steps) if step.name == name]

    def _graph(self, ends_early: bool) -> list[Edge]:
        edges = [Edge(self.start, 0, (0,) * self.tally_size)]
        for at, step in enumerate(self._steps):
            for to, jumps in self._following(at, step):
                if to != self.end or not ends_early:
                    edges.append(Edge(at, to, self._tally(at, step, jumps, to), self._meets(at, step, to)))
            if ends_early and step.name == "ResultRow" and step.part == 0:
                edges.append(Edge(at, self.end, self._tally(at, step, False, self.end)))
        return _joined(_reachable(edges, self.start, self.end), self.start, self.end)

    def _following(self, at: int, step: Step) -> Iterator[tuple[int, bool]]:
        """Yield each step that may come after *step*, and whether it is reached by a jump."""
        name, p1, p2, p3, part = step.name, step.p1, step.p2, step.p3, step.part
        base = self._parts[part]
        if name in ("Init", "Goto", "Gosub"):
            yield base + p2, True
        elif name == "Halt":
            if not p1:  # with a code it fails the statement
                yield (self.end if part == 0 else self._calls[part - 1] + 1), False
        elif name == "Program":
            yield self._parts[self._calls.index(at) + 1], True
        elif name == "InitCoroutine":
            yield (base + p2 if p2 else at + 1), bool(p2)
        elif name in ("Yield", "EndCoroutine"):
            yield from self._swapped(at, step)
        elif name == "Return":
            for caller in self._all("Gosub"):
                if self._steps[caller][1] == p1 and self._steps[caller].part == part:
                    yield caller + 1, True
            if p3:
                yield at + 1, False
        elif name == "Jump":
            for to in {p1, p2, p3}:
                yield base + to, True
        elif name == "SeekScan":
            yield at + 1, False
            yield base + p2, True
            yield base + self._steps[at + 1].p2, True
        elif name in _SEEKS and (part, p1) in self._exact and self._steps[at + 1].name in ("IdxGT", "IdxLT"):
            yield at + 2, False  # the key was found: whether it is past the range need not be asked
            yield base + p2, True
        elif name in _JUMPS and p2:
            yield at + 1, False
            yield base + p2, True
        else:
            yield at + 1, False

    def _swapped(self, at: int, step: Step) -> Iterator[tuple[int, bool]]:
        """Yield where a coroutine and its caller go on when one of them hands over to the other."""
        base = self._parts[step.part]
        for start in self._all("InitCoroutine"):
            opener = self._steps[start]
            if (opener.p1, opener.part) != (step.p1, step.part):
                continue
            body = self._body(base + opener.p3, opener)
            swaps = [
                other
                for other in self._all("Yield")
                if (self._steps[other].p1, self._steps[other].part) == (step.p1, step.part)
            ]
            callers = [other for other in swaps if other not in body]
            self.crossings.update(callers)
            if at not in body:
                yield base + opener.p3, True
                for other in swaps:
                    if other in body:
                        yield other + 1, True
            elif step.name == "Yield":
                for other in callers:
                    yield other + 1, True
            else:
                for other in callers:
                    yield base + self._steps[other].p2, True

    def _body(self, entry: int, opener: Step) -> set[int]:
        """The steps that belong to a coroutine."""
        seen: set[int] = set()
        todo = [entry]
        while todo:
            at = todo.pop()
            step = self._steps[at]
            if at in seen:
                continue
            seen.add(at)
            if step.name == "EndCoroutine":
                continue
            if step.name == "Yield":
                todo.append(at + 1)
                if step.p1 != opener.p1 and step.p2:
                    todo.append(self._parts[step.part] + step.p2)
            elif step.name != "Return":
                todo.extend(to for to, _ in self._following(at, step) if to < len(self._steps))
                if step.name == "Gosub":
                    todo.append(at + 1)
        return seen

    def _meets(self, at: int, step: Step, to: int) -> frozenset[int]:
        if step.name == "Gosub":
            return frozenset((~at,))
        if step.name == "Return":
            return frozenset((~(to - 1),))
        if step.name == "Yield":
            return frozenset((~(to - 1 if at in self.crossings else at),))
        return frozenset()

    def _shared(self) -> frozenset[int]:
        found: set[int] = set()
        todo = [self._parts[self._steps[at].part] + self._steps[at].p2 for at in self._all("Gosub")]
        while todo:
            at = todo.pop()
            if at not in found and at < len(self._steps):
                found.add(at)
                step = self._steps[at]
                if step.name == "Gosub":
                    todo.append(at + 1)
                elif step.name not in ("Return", "Yield", "EndCoroutine", "Halt"):
                    todo.extend(to for to, _ in self._following(at, step))
        return frozenset(found)

    # --- what a step counts ---------------------------------------------------------------------------

    def _tally(self, at: int, step: Step, jumps: bool, to: int) -> Tally:
        tally = [0] * self.tally_size
        tally[STEPS] = 1
        name = step.name
        cursor = (step.part, step.p1)
        if name in _STARTS:
            tally[READ] = 1
            tally[SORTS] = name in ("Sort", "SorterSort")
            self._mark(tally, "store", cursor, -1 if step.p2 and not jumps else 0)
        elif name in ("SeekRowid", "NotExists", "VNext"):
            tally[READ] = 1
        elif name in _SEEKS:
            tally[READ] = not (jumps and cursor in self._exact)
        elif name in _ADVANCES and not jumps:
            tally[ODD] = step.p5 not in (_BY_FULL_SCAN, _BY_AUTO_INDEX) and cursor not in self._temporary
        elif name in _ADVANCES:
            tally[READ] = 1
            tally[FULL_SCAN] = step.p5 == _BY_FULL_SCAN
            tally[AUTO_INDEX] = step.p5 == _BY_AUTO_INDEX
            self._mark(tally, "store", cursor, -1)
        elif name == "ResultRow":
            tally[ROWS] = 1
        elif name == "VUpdate":
            tally[WRITTEN] = 1
        elif name in ("Insert", "IdxInsert", "Delete"):
            self._tally_write(tally, step, cursor)
        elif name in ("SorterInsert", "RowSetAdd"):
            self._mark(tally, "store", cursor, 1)
        elif name == "RowSetRead":
            self._mark(tally, "store", cursor, -1 if not jumps else 0)
        elif name == "Once":
            self._mark(tally, "once", (step.part, at), 1 if not jumps else 0)
        elif name == "Gosub":
            self._mark(tally, "return", (step.part, at), 1)
        elif name == "Return":
            self._mark(tally, "return", (step.part, to - 1), -1)
        elif name == "InitCoroutine" and not (step.p2 and cursor in self._set_again):
            self._mark(tally, "coroutine", cursor, 1)
        elif name == "Yield" and to in self._entries.get(cursor, ()):
            self._mark(tally, "coroutine", cursor, -1)
        return tuple(map(int, tally))

    def _tally_write(self, tally: list[int], step: Step, cursor: tuple[int, int]) -> None:
        flags = step.p2 if step.name == "Delete" else step.p5
        if step.name == "Insert" and flags & _IS_NO_OPERATION:
            return
        counts = bool(flags & _COUNTS_CHANGE)
        tally[CHANGES] = counts
        if cursor not in self._temporary:
            tally[WRITTEN] = counts or step.name != "Delete"
        self._mark(tally, "store", cursor, -1 if step.name == "Delete" else 1)
        if step.name == "Insert" and counts:
            tally[UPDATES if flags & _IS_UPDATE else INSERTS] = 1
        elif step.name == "Delete" and counts:
            tally[DELETES] = 1

    def _mark(self, tally: list[int], kind: str, which: tuple[int, int], amount: int) -> None:
        place = self._places.get((kind, *which))
        if place is not None:
            tally[place] += amount


def _read(rows: Iterable[Sequence[Any]]) -> Iterator[Step]:
    part = -1
    for address, name, p1, p2, p3, _, p5, *_ in rows:
        part += address == 0
        yield Step(name, p1, p2, p3, p5 or 0, part)


def _reachable(edges: list[Edge], start: int, end: int) -> list[Edge]:
    """Leave out what no walk from *start* to *end* can touch."""
    after, before = defaultdict(list), defaultdict(list)
    for edge in edges:
        after[edge.start].append(edge.end)
        before[edge.end].append(edge.start)
    touched = _all_from(start, after) & _all_from(end, before)
    return [edge for edge in edges if edge.start in touched and edge.end in touched]


def _all_from(origin: int, ways: Mapping[int, list[int]]) -> set[int]:
    found = {origin}
    todo = [origin]
    while todo:
        for to in ways.get(todo.pop(), ()):
            if to not in found:
                found.add(to)
                todo.append(to)
    return found


def _joined(edges: list[Edge], start: int, end: int) -> list[Edge]:
    """Make one edge of each chain of edges without a branch, and of edges that count alike."""
    out, into = defaultdict(list), defaultdict(list)
    for edge in edges:
        out[edge.start].append(edge)
        into[edge.end].append(edge)
    for at in list(out):
        if at in (start, end) or len(out[at]) != 1 or len(into[at]) != 1:
            continue
        [before], [after] = into[at], out[at]
        if before is after:
            continue
        tally = tuple(map(add, before.tally, after.tally))
        whole = Edge(before.start, after.end, tally, before.meets | after.meets)
        out[before.start][out[before.start].index(before)] = whole
        into[after.end][into[after.end].index(after)] = whole
        del out[at], into[at]
    return sorted({edge for found in out.values() for edge in found}, key=lambda edge: edge[:3])
