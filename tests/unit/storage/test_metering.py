"""metering: programs as graphs, and the walks that fit figures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from operator import add
from pathlib import Path

import apsw
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perdure._storage.database import Database, empty_image
from perdure._storage.metering import meter
from perdure._storage.metering.program import CHANGES, FULL_SCAN, READ, ROWS, SORTS, STEPS, WRITTEN, Program
from perdure._storage.metering.walk import Counts, Walks, estimate

pytestmark = pytest.mark.rows("SQL-13")

SCHEMA = """
CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT, v);
CREATE INDEX t_s ON t (s);
CREATE TABLE k (name TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE log (n);
CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.n); END;
"""
STATEMENTS = [
    "SELECT * FROM t",
    "SELECT * FROM t WHERE n = 1",
    "SELECT * FROM t WHERE s = 'a' AND v = 1",
    "SELECT * FROM t WHERE s > 'a' ORDER BY v LIMIT 2",
    "SELECT * FROM t WHERE n IN (1, 2, 3)",
    "SELECT s, count(*) FROM t GROUP BY s",
    "SELECT * FROM t JOIN k ON k.name = t.s",
    "VALUES (1), (2), (3)",
    "INSERT INTO t VALUES (1, 'a', 2) ON CONFLICT DO UPDATE SET v = 3",
    "INSERT INTO t (s, v) SELECT s, v FROM t WHERE n > 2",
    "UPDATE t SET s = 'b' WHERE s = 'a'",
    "UPDATE k SET v = 1 RETURNING name",
    "DELETE FROM t WHERE v > 1",
    "DELETE FROM k",
]


def listing(statement: str) -> list[tuple]:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    rows = connection.execute(f"EXPLAIN {statement}").fetchall()
    connection.close()
    return rows


# --- programs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_step_leads_from_the_start_to_the_end(statement: str) -> None:
    """What no run can reach is not in the graph, and each point has a way on and a way back."""
    program = Program(listing(statement))
    assert program.is_known
    starts, ends = {edge.start for edge in program.edges}, {edge.end for edge in program.edges}
    assert starts - ends == {program.start}
    assert ends - starts == {program.end}
    assert all(len(edge.tally) == program.tally_size for edge in program.edges)


def test_a_straight_program_is_one_edge() -> None:
    """Steps without a branch are counted together."""
    rows = listing("INSERT INTO log VALUES (1)")
    [edge] = Program(rows).edges
    assert (edge.tally[WRITTEN], edge.tally[CHANGES], edge.tally[READ]) == (1, 1, 0)
    assert edge.tally[STEPS] == len(rows)


def test_a_run_that_stopped_ends_at_a_row() -> None:
    """Then the graph ends where a row was given, and nowhere else."""
    program = Program(listing("SELECT * FROM t"), ends_early=True)
    assert all(edge.tally[ROWS] for edge in program.edges if edge.end == program.end)


def test_a_table_that_is_counted_whole_is_named_by_its_root() -> None:
    """`count(*)` asks the tree for its size in one step."""
    assert Program(listing("SELECT count(*) FROM log")).counted == [5]
    assert Program(listing("SELECT count(*) FROM t WHERE v = 1")).counted == []


def test_an_emptied_table_is_told() -> None:
    """DELETE without WHERE is one step, however many rows there are."""
    assert Program(listing("DELETE FROM k")).clears
    assert not Program(listing("DELETE FROM k WHERE v = 1")).clears


def test_triggers_are_part_of_the_program() -> None:
    """A trigger's steps come where it is called."""
    program = Program(listing("DELETE FROM t WHERE n = 1"))
    assert max(edge.tally[WRITTEN] for edge in program.edges) >= 2


def test_a_program_that_is_not_understood_says_so() -> None:
    """More calls than parts: nothing is concluded."""
    rows = [
        (0, "Init", 0, 1, 0, None, 0, None),
        (1, "Program", 0, 0, 0, "p", 0, None),
        (2, "Halt", 0, 0, 0, None, 0, None),
    ]
    program = Program(rows)
    assert not program.is_known
    assert Walks(program).counts({STEPS: 3}) is None


def test_no_program_at_all() -> None:
    """EXPLAIN of nothing."""
    assert Program([]).edges == []


# --- walks -------------------------------------------------------------------------------------------


def plain() -> list[str]:
    """Statements whose programs have no coroutines and subroutines: any way through them is a possible run."""
    return [s for s in STATEMENTS if not {"coroutine", "return"} & Program(listing(s)).places.keys()]


@given(st.sampled_from(plain()), st.randoms(use_true_random=False))
def test_a_walk_is_among_those_that_fit_its_own_figures(statement: str, chance: random.Random) -> None:
    """Whatever way is taken through a program, what it counts is among the answers for its figures."""
    program = Program(listing(statement))
    total = _wander(program, chance)
    facts = {place: total[place] for place in (STEPS, FULL_SCAN, SORTS, ROWS, CHANGES)}
    places = program.places
    assume(all(total[place] >= 0 for place in places["store"]))  # nothing is taken out that was not put in
    assume(all(total[place] <= 1 for place in places["once"]))
    found = {(read, written) for _, written, read in Walks(program)._fits(facts)}
    assert (total[READ], total[WRITTEN]) in found


def _wander(program: Program, chance: random.Random) -> tuple[int, ...]:
    """Go through the program at random, not for ever."""
    total = (0,) * program.tally_size
    at, steps = program.start, 0
    while at != program.end:
        ways = [edge for edge in program.edges if edge.start == at]
        steps += 1
        if steps > 12:  # home by the shortest way
            ways = [min(ways, key=lambda edge: _distance(program, edge.end))]
        edge = chance.choice(ways)
        total = tuple(map(add, total, edge.tally))
        at = edge.end
    return total


def _distance(program: Program, start: int) -> int:
    reached, distance = {start}, 0
    while program.end not in reached:
        reached |= {edge.end for edge in program.edges if edge.start in reached}
        distance += 1
    return distance


def test_figures_that_no_walk_has_give_nothing() -> None:
    """Then the caller has to estimate."""
    assert Walks(Program(listing("SELECT * FROM t"))).counts({STEPS: 1, ROWS: 7}) is None


def test_without_steps_the_changes_decide() -> None:
    """A writing statement that was not watched is concluded from the rows it changed."""
    walks = Walks(Program(listing("INSERT INTO t VALUES (1, 'a', 2)")))
    assert walks.counts({ROWS: 0, CHANGES: 1}) == Counts(1, 2)


def test_an_estimate_is_the_rows_scanned() -> None:
    """It never says less than the rows that were given."""
    program = Program(listing("SELECT * FROM t"))
    assert estimate(program, {FULL_SCAN: 4, SORTS: 1}, 2, 0) == Counts(6, 0)
    assert estimate(program, {}, 9, 3) == Counts(9, 3)
    assert estimate(Program(listing("SELECT 1")), {}, 1, 0) == Counts(0, 0)


# --- the meter ---------------------------------------------------------------------------------------


@contextmanager
def a_database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "store"
    path.write_bytes(empty_image())
    database = Database(str(path))
    for statement in (
        "CREATE TABLE t (n INTEGER PRIMARY KEY, v)",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
    ):
        database.cursor().execute(statement)
    yield database
    database.close()


def test_reading_is_counted_by_running_it_again(tmp_path: Path) -> None:
    """As far as the cursor had come, or to the end."""
    with a_database(tmp_path) as database:
        query = "SELECT n FROM t WHERE v <> ?"
        assert meter.of_reading(database, query, (2,), 1, finished=False) == Counts(1, 0)
        assert meter.of_reading(database, query, (2,), 2, finished=False) == Counts(3, 0)
        assert meter.of_reading(database, query, (2,), 2, finished=True) == Counts(3, 0)
        assert database.internal


def test_a_watch_tells_the_kinds_of_changes(tmp_path: Path) -> None:
    """Rows inserted, updated and deleted are told apart, and steps are counted."""
    with a_database(tmp_path) as database:
        query = "INSERT INTO t VALUES (3, 0), (4, 0) ON CONFLICT DO UPDATE SET v = 9"
        with meter.Watching(database) as watching:
            database.cursor().execute(query)
        figures = watching.figures(query, 2)
        assert figures is not None
        watched = meter.Watched(figures)
        assert meter.of_writing(database, query, (), 0, 2, watched) == Counts(2, 2)
        assert watching.figures("SELECT 1", 0) is None


def test_a_watch_that_was_stopped_hears_nothing(tmp_path: Path) -> None:
    """Statements after it cost nothing more."""
    with a_database(tmp_path) as database:
        with meter.Watching(database) as watching:
            pass
        database.cursor().execute("DELETE FROM t")
        assert watching.figures("DELETE FROM t", 3) is None


@pytest.mark.parametrize("query", ["SELECT * FROM gone", "EXPLAIN SELECT 1", "SELECT nope"])
def test_what_cannot_be_explained_counts_nothing(tmp_path: Path, query: str) -> None:
    """A table that has gone since is no error here."""
    with a_database(tmp_path) as database:
        assert meter.of_reading(database, query, (), 0, finished=True) == Counts(0, 0)
        assert meter.of_writing(database, query, (), 0, 2, None) == Counts(0, 2)
        assert database.internal
