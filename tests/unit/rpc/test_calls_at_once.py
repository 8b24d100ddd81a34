"""A call that comes while no code runs is run within the step in which it came, if it needs no task (`call_now`)."""

from __future__ import annotations

import asyncio
import contextvars
import json

import pytest
from support.inside import until
from support.sessions import Heard

from perdure import RpcTarget
from perdure._base.current import current_invocation
from perdure._rpc.owner import Invocation

var = contextvars.ContextVar("var", default="unset")


class Api(RpcTarget):
    """Notes in `log` what of it begins, in which order."""

    def __init__(self):
        self.log = []
        self.heard = None

    def plain(self, tag):
        self.log.append(tag)
        return tag

    def annotated(self, tag: str) -> str:
        self.log.append(tag)
        return tag

    async def slow(self, tag):
        self.log.append(tag)
        return tag

    def passes_on(self, tag):
        return self.slow(tag)

    async def me_later(self):
        await asyncio.sleep(0)
        return self

    def in_a_context(self, tag):
        token = var.set(tag)

        async def later():
            found = var.get()
            var.reset(token)
            return [found, var.get()]

        return later()

    def me(self):
        return self

    def fails(self):
        raise ValueError("failed")

    def exits(self):
        raise SystemExit(3)

    def hears(self, *lines):
        for line in lines:
            self.heard.receive(line)
        self.log.append("over")

    def ends(self):
        self.heard.session.close()
        return Room()

    @property
    def noted(self):
        self.log.append("read")
        return len(self.log)

    def takes(self, stub):
        """Nothing comes of it."""

    def dispose(self):
        self.log.append("disposed")


class Room(RpcTarget):
    pass


def push(method, *args, to=0):
    return json.dumps(["push", ["pipeline", to, [method], list(args)]])


def pull(id):
    return json.dumps(["pull", id])


def served(kind):
    """Return a target that a session serves, owned by the code around a runtime or by a run of a worker."""
    api = Api()
    token = current_invocation.set(Invocation(None, debug=True)) if kind == "worker" else None
    api.heard = Heard(api)
    if token is not None:
        current_invocation.reset(token)
    return api


async def step(api, *lines):
    """Say *lines* in one step of the loop; return the answers and the log as they are at its end."""
    done = asyncio.get_running_loop().create_future()

    def say():
        for line in lines:
            api.heard.receive(line)
        done.set_result(([json.loads(line) for line in api.heard.said], list(api.log)))

    asyncio.get_running_loop().call_soon(say)
    return await done


owners = pytest.mark.parametrize("owner", ["loop", "worker"])


@owners
@pytest.mark.parametrize("method", ["plain", "annotated"])
async def test_a_plain_method_is_answered_in_the_step_in_which_it_was_called(owner, method):
    api = served(owner)
    said, log = await step(api, push(method, "a"), pull(1), push(method, "b"), pull(2))
    assert said == [["resolve", 1, "a"], ["resolve", 2, "b"]]
    assert log == ["a", "b"]


async def test_a_function_is_too():
    heard = Heard(lambda value: value + 1)
    asyncio.get_running_loop().call_soon(heard.receive, '["push",["pipeline",0,[],[1]]]')
    asyncio.get_running_loop().call_soon(heard.receive, pull(1))
    await asyncio.sleep(0)
    assert heard.said == ['["resolve",1,2]']


@owners
async def test_a_method_of_a_result_that_is_there_is_too(owner):
    api = served(owner)
    said, _ = await step(
        api, push("me"), push("plain", "a", to=1), pull(2), push("plain", "b", to=1), pull(3)
    )
    assert said == [["resolve", 2, "a"], ["resolve", 3, "b"]]


@owners
async def test_a_call_waits_for_those_before_it_to_begin(owner):
    api = served(owner)
    first = step(api, push("slow", 1), push("plain", 2), push("passes_on", 3), push("plain", 4))
    second = step(api, push("plain", 5))  # the loop's next step: the tasks of those have still to begin
    (_, log), _ = await asyncio.gather(first, second)
    assert log == []
    await until(lambda: len(api.log) == 5)
    assert api.log == [1, 2, 3, 4, 5]
    _, log = await step(api, push("plain", 6))
    assert log == [1, 2, 3, 4, 5, 6]


@owners
@pytest.mark.parametrize(
    "first",
    ['["push",["pipeline",0,["noted"]]]', '["push",["remap",0,["noted"],[],[["pipeline",0]]]]'],
    ids=["read", "map"],
)
async def test_a_call_waits_for_what_was_read_before_it(owner, first):
    api = served(owner)
    await step(api, first, push("plain", "later"))
    await until(lambda: len(api.log) == 2)
    assert api.log == ["read", "later"]


@owners
async def test_a_call_waits_for_those_that_waited_for_their_target(owner):
    api = served(owner)
    await step(api, push("me_later"), push("plain", 1, to=1))
    target = api.heard.session.exports[1].promise
    target.add_done_callback(
        lambda _: api.heard.receive(push("plain", 2, to=1))
    )  # 1 has a task, which has not begun
    await until(lambda: len(api.log) == 2)
    assert api.log == [1, 2]


@owners
async def test_what_a_plain_method_leaves_to_a_coroutine_begins_before_later_calls(owner):
    api = served(owner)
    await step(api, push("passes_on", 1), push("plain", 2))
    await until(lambda: len(api.log) == 2)
    assert api.log == [1, 2]


@owners
async def test_no_call_runs_within_other_code(owner):
    api = served(owner)
    api.heard.receive(push("plain", "a"))  # this test is a task's code
    assert api.log == []
    await until(lambda: api.log == ["a"])


@owners
async def test_no_call_runs_within_another(owner):
    api = served(owner)
    _, log = await step(api, push("hears", push("plain", "inner")), push("plain", "later"))
    assert log == ["over"]
    await until(lambda: len(api.log) == 3)
    assert api.log == ["over", "inner", "later"]


@owners
async def test_an_error_is_the_callers_with_its_marks(owner):
    api = served(owner)
    promise = api.heard.session.exports[0].capability.call_now(("fails",), (), {})
    error = promise.exception()
    assert isinstance(error, ValueError)
    assert error.remote
    if owner == "worker":
        assert "raised in Api.fails()" in error.__notes__[0]
    said, _ = await step(api, push("exits"), pull(1))
    assert said[0][:2] == ["reject", 1]


@owners
async def test_a_coroutine_goes_on_in_the_context_of_the_call(owner):
    api = served(owner)
    await step(api, push("in_a_context", "a"), pull(1))
    assert json.loads(await api.heard.answer()) == ["resolve", 1, [["a", "unset"]]]
    assert var.get() == "unset"


@owners
async def test_a_call_may_end_the_session(owner):
    api = served(owner)
    said, _ = await step(api, push("ends"), pull(1))
    assert said == []
    assert api.heard.session.counts == (0, 0)
    await until(lambda: api.log == ["disposed"])


@owners
async def test_a_stub_in_arguments_ends_with_the_call(owner):
    api = served(owner)
    said, _ = await step(api, '["push",["pipeline",0,["takes"],[["export",-1]]]]')
    assert said == [["release", -1, 1]]


@owners
async def test_an_error_that_nobody_asks_for_is_not_logged(owner, caplog):
    api = served(owner)
    await step(api, push("fails"), '["release",1,1]')
    assert caplog.records == []
