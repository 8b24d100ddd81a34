"""What belongs to the whole process is set by the command line alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from support.inside import an_object, inside

from perdure._cli.host import YOUNG_OBJECTS, ease_collector


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_a_served_application_spends_less_on_the_garbage_collector():
    before = gc.get_threshold()
    ease_collector()
    assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
    assert gc.get_freeze_count() > 10_000


def test_what_an_application_has_set_of_the_garbage_collector_stays():
    gc.set_threshold(123, 4, 5)
    ease_collector()
    assert gc.get_threshold() == (123, 4, 5)
    assert gc.get_freeze_count() == 0


async def test_a_runtime_in_ones_own_program_leaves_the_garbage_collector_alone():
    before = gc.get_threshold(), gc.get_freeze_count()
    async with an_object() as stub:
        assert await inside(stub, lambda instance: (gc.get_threshold(), gc.get_freeze_count())) == before
