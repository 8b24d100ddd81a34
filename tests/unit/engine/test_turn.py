"""The task factory, and what it drives."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from perdure._base.awaitables import Done, finish, invoke
from perdure._base.current import current
from perdure._engine.turn import TaskFactory


class Live:
    """As much of a live object as the factory looks at."""

    def __init__(self, host):
        self.host = host
        self.tasks = []

    def task_began(self, task):
        self.tasks.append(task)

    def task_ended(self, task):
        self.tasks.remove(task)


def in_code_of(live):
    """A context that belongs to *live*."""
    context = contextvars.copy_context()
    context.run(current.set, live)
    return context


async def value():
    return 5


async def test_invoke_awaits_what_can_be_awaited():
    """A coroutine, a finished awaitable, a future; anything else is the result."""
    future = asyncio.get_running_loop().create_future()
    future.set_result(5)
    for run in (value, lambda: value(), lambda: Done(5), lambda: future, lambda: 5):
        assert await invoke(run) == 5
    assert await invoke(lambda: [1]) == [1]
    assert await invoke(lambda a, b: a + b, 1, 2) == 3


async def test_finish_takes_anything():
    """Awaitable or not."""
    assert await finish(5) == 5
    assert await finish(value()) == 5


async def test_code_outside_of_objects_is_not_driven():
    """Nor that of another host's objects."""
    loop = asyncio.get_running_loop()
    factory = TaskFactory(host := object(), None)
    for context in (None, in_code_of(Live(object()))):
        options = {} if context is None else {"context": context}
        task = factory(loop, value(), **options)
        assert task.get_coro().__name__ == "value"
        assert await task == 5
    driven = factory(loop, value(), context=in_code_of(live := Live(host)))
    assert driven.get_coro().__name__ == "driven"
    assert live.tasks == [driven]
    driven.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driven
    await asyncio.sleep(0)
    assert live.tasks == []


async def test_a_factory_below_makes_the_tasks():
    """Ours only wraps what they run."""
    made = []

    def below(loop, coro, **options):
        made.append(options)
        return asyncio.Task(coro, loop=loop, **options)

    factory = TaskFactory(object(), below)
    assert await factory(asyncio.get_running_loop(), value(), context=contextvars.copy_context()) == 5
    assert list(made[0]) == ["context"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
async def test_factories_go_in_any_order(order):
    """When the last one has gone, the loop is as it was."""
    loop = asyncio.get_running_loop()

    def own(loop, coro, **options):
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(own)
    factories = []
    for _ in range(3):
        factories.append(TaskFactory(object(), loop.get_task_factory()))
        loop.set_task_factory(factories[-1])
    for index in order:
        factories[index].uninstall(loop)
        assert await asyncio.create_task(value()) == 5
    assert loop.get_task_factory() is own
