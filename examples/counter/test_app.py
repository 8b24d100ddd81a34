"""The counter's tests: run `pytest`. Each has a counter of its own, in memory of nobody else."""

from perdure.testing import evict_durable_object


async def test_hits_add_up(perdure):
    counter = perdure.env.COUNTER.get_by_name("home")
    assert await counter.hit("visits") == 1
    assert await counter.hit("visits", by=2) == 3


async def test_each_name_is_an_object_of_its_own(perdure):
    await perdure.env.COUNTER.get_by_name("home").hit("visits")
    assert await perdure.env.COUNTER.get_by_name("about").hit("visits") == 1


async def test_a_request_counts(perdure):
    response = await perdure.fetch("/")
    assert response.status == 200
    assert await response.json() == {"n": 1}


async def test_what_was_counted_outlives_memory_and_process(perdure):
    counter = perdure.env.COUNTER.get_by_name("home")
    await counter.hit("visits")
    await evict_durable_object(counter)
    assert await counter.hit("visits") == 2
    await perdure.crash()
    assert await perdure.env.COUNTER.get_by_name("home").hit("visits") == 3
