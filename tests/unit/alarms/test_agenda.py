"""The order in which alarms run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure._alarms.agenda import Agenda, Entry
from perdure._alarms.retry import Tries


def entry(key: str, at_ms: int, **more: object) -> Entry:
    return Entry(key.encode(), at_ms, None, at_ms, **more)  # type: ignore[arg-type]


def taken(agenda: Agenda, now_ms: int) -> list[str]:
    keys = []
    while (found := agenda.take(now_ms)) is not None:
        keys.append(found.key.decode())
    return keys


def test_what_is_due_comes_soonest_first() -> None:
    """And what is not, not."""
    agenda = Agenda()
    for key, at_ms in [("c", 30), ("a", 10), ("d", 40), ("b", 20)]:
        agenda.put(entry(key, at_ms))
    assert taken(agenda, 30) == ["a", "b", "c"]
    assert agenda.next_at_ms == 40


def test_a_key_has_one_entry() -> None:
    """The last one put, earlier or later than the one before."""
    agenda = Agenda()
    agenda.put(entry("a", 10))
    agenda.put(entry("a", 30))
    assert agenda.take(20) is None
    agenda.put(entry("a", 5))
    assert taken(agenda, 100) == ["a"]
    assert len(agenda) == 0


def test_a_dropped_key_does_not_come() -> None:
    """It may come again later."""
    agenda = Agenda()
    agenda.put(entry("a", 10))
    agenda.drop(b"a")
    agenda.drop(b"never there")
    assert agenda.next_at_ms is None
    agenda.put(entry("a", 10))
    assert taken(agenda, 10) == ["a"]


def test_trimming_forgets_the_latest_and_keeps_what_has_failed() -> None:
    """It tells the place of the last that is left: all behind it must be read again."""
    agenda = Agenda()
    for number in range(10):
        agenda.put(entry(str(number), 100 + number))
    agenda.put(entry("failed", 999, tries=Tries(1, 1)))
    assert agenda.trim(4) == (103, b"3")
    assert agenda.fresh == 4
    assert taken(agenda, 1000) == ["0", "1", "2", "3", "failed"]
    assert agenda.trim(4) is None


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), st.integers(0, 50))), max_size=300))
def test_it_is_a_dict_ordered_by_time(changes: list[tuple[str, int | None]]) -> None:
    """Whatever is put and dropped; and what was replaced does not pile up."""
    agenda, model = Agenda(), {}
    for key, at_ms in changes:
        if at_ms is None:
            agenda.drop(key.encode())
            model.pop(key, None)
        else:
            agenda.put(entry(key, at_ms))
            model[key] = at_ms
        assert len(agenda._heap) <= 2 * len(model) + 65
        assert agenda.fresh == len(agenda) == len(model)
        assert agenda.next_at_ms == min(model.values(), default=None)
    assert sorted(taken(agenda, 50)) == sorted(model)
    assert agenda.fresh == 0
