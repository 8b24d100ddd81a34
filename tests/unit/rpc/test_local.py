"""Stubs of targets of this process: what is reached, what crosses, who owns it. RPC-02…11, RPC-16…21."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass

import pytest
from support.inside import until

from perdure._rpc.crossing import dispose
from perdure._rpc.promise import RpcPromise
from perdure._rpc.stub import RpcStub, Stub
from perdure._rpc.target import RpcTarget
from perdure.errors import DataCloneError, PerdureError

DISPOSED = "RPC stub used after being disposed."


@dataclass
class Point:
    x: int
    y: int


class Node(RpcTarget):
    def __init__(self, path="", log=None):
        self.path = path
        self.log = [] if log is None else log

    def child(self, name):
        return Node(f"{self.path}/{name}", self.log)

    def where(self):
        return self.path

    async def slowly(self):
        await asyncio.sleep(0)
        return Node("slow", self.log)

    def note(self, tag):
        self.log.append(tag)

    def noted(self):
        return self.log

    @property
    def info(self):
        return {"path": self.path, "deep": {"list": [1, 2], "double": lambda x: 2 * x}, "at": Point(3, 4)}

    @property
    async def later(self):
        await asyncio.sleep(0)
        return {"node": Node("later")}

    def number(self):
        return 5

    async def numbers(self, to):
        for n in range(to):
            yield n

    @property
    def some_numbers(self):
        return self.numbers(2)

    def fail(self):
        raise ValueError("failed")

    def call(self, function, *args):
        return function(*args)

    def keep(self, stub):
        self.kept = stub

    def keep_dup(self, stub):
        self.kept = stub.dup()

    def use_kept(self):
        return self.kept("kept")

    def give_kept(self):
        return {"stub": self.kept}

    def give_back(self, stub):
        return stub

    def _private(self):
        return "private"

    def dup(self):
        return self

    def dispose(self):
        self.log.append(f"{self.path} is gone")


async def settle():
    """Let what was started, and what that starts, take its steps."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_stub_of_a_target_calls_its_methods():
    """Every call goes by copy, also within the process (RPC-09, RPC-11)."""
    stub = RpcStub(Node("here"))
    assert await stub.where() == "here"


async def test_a_target_that_is_returned_arrives_as_a_stub():
    """An RpcTarget is passed by reference (RPC-09)."""
    child = await RpcStub(Node()).child("a")
    assert isinstance(child, RpcStub)
    assert await child.where() == "/a"


@pytest.mark.parametrize("name", ["path", "_private", "nothing"])
async def test_only_public_members_of_a_targets_class_are_reached(name):
    """Instance attributes and names that begin with an underscore are not (RPC-02)."""
    with pytest.raises(TypeError, match=f'does not implement the method "{name}"'):
        await RpcStub(Node())[name]()


@pytest.mark.parametrize("name", ["dup", "dispose", "constructor"])
async def test_names_with_a_meaning_on_stubs_are_not_reached_on_a_target(name):
    """`dup`, `constructor` and the disposer are reserved (RPC-03)."""
    with pytest.raises(TypeError, match=f"'{name}' is a reserved method"):
        await RpcStub(Node())[name]()


async def test_a_property_is_read_when_it_is_awaited():
    """Nothing is sent before; its value is a copy, with stubs for functions (RPC-05, RPC-08)."""
    stub = RpcStub(Node("here"))
    info = await stub.info
    assert info["deep"]["list"] == [1, 2]
    assert info["at"] == Point(3, 4)
    assert await info["deep"]["double"](4) == 8


async def test_a_path_goes_through_properties_and_values():
    """Keys of dicts, indexes of lists, fields of dataclasses (RPC-05)."""
    stub = RpcStub(Node("here"))
    assert await stub.info.deep.list[1] == 2
    assert await stub.info.at.y == 4
    assert await stub.info.deep.double(21) == 42
    assert await stub.later.node.child("x").where() == "later/x"


@pytest.mark.parametrize(
    "read", [lambda s: s.info.at.__class__, lambda s: s.info.deep.list[-1], lambda s: s.info.keys]
)
async def test_a_path_reaches_nothing_but_data(read):
    """What a class, a list or a dict has beside its data is out of reach."""
    with pytest.raises((TypeError, AttributeError)):
        await read(RpcStub(Node()))


async def test_calling_what_is_no_function_names_the_path():
    with pytest.raises(TypeError, match=r'^"info.deep.list" is not a function\.$'):
        await RpcStub(Node()).info.deep.list()


@pytest.mark.rows("RPC-07")
async def test_a_path_has_at_most_64_names():
    """RPC-07."""
    step = RpcStub(Node()).a
    for _ in range(63):
        step = step.a
    with pytest.raises(TypeError, match=r"^RPC pipelined property path is too deep \(max 64\)\.$"):
        _ = step.a


async def test_a_call_is_made_on_a_result_before_it_is_there():
    """RPC-06."""
    stub = RpcStub(Node())
    assert await stub.child("a").child("b").where() == "/a/b"
    slow = stub.slowly()
    assert await asyncio.gather(slow.child("1").where(), slow.where()) == ["slow/1", "slow"]


async def test_pipelined_calls_keep_their_order_with_those_made_after_the_result():
    """Calls on one handle start in the order in which they were made (STB-10)."""
    log = []
    promise = RpcStub(Node("", log)).slowly()
    promise.note(1)
    node = await promise
    promise.note(2)
    await node.note(3)
    assert [entry for entry in log if entry in (1, 2, 3)] == [1, 2, 3]


async def test_a_failed_call_fails_what_goes_on_with_it():
    """Every pipelined call fails with the same error (RPC-06)."""
    promise = RpcStub(Node()).fail()
    for going_on in (promise.where(), promise.a.b):
        with pytest.raises(ValueError, match="failed") as caught:
            await going_on
        assert caught.value.remote


async def test_going_on_with_a_number_fails():
    with pytest.raises(TypeError, match='does not implement the method "where"'):
        await RpcStub(Node()).number().where()


async def test_arguments_of_a_pipelined_call_are_copied_when_it_is_made():
    """RPC-08."""
    log = []
    value = [1]
    call = RpcStub(Node("", log)).slowly().note(value)
    value.append(2)
    await call
    assert [1] in log


async def test_functions_methods_and_partials_cross_as_stubs():
    """RPC-10."""
    heard = []
    stub = RpcStub(Node())
    assert await stub.call(lambda a, b: a + b, 1, 2) == 3
    assert await stub.call(Node("mine").where) == "mine"
    await stub.call(heard.append, "x")
    assert heard == ["x"]


async def test_what_is_set_on_a_function_is_reached():
    """Own properties of a function object are visible (RPC-10)."""

    def function():
        return "called"

    function.answer = 42
    stub = RpcStub(function)
    assert await stub() == "called"
    assert await stub.answer == 42


@pytest.mark.rows("RPC-11")
@pytest.mark.parametrize("value", [Node, Point(1, 2), 5, [1], None])
async def test_a_stub_is_made_of_targets_functions_and_dicts_only(value):
    """RPC-11."""
    with pytest.raises(TypeError, match="can only wrap plain objects, functions, and RpcTarget derivatives"):
        RpcStub(value)


async def test_promises_properties_and_classes_do_not_cross():
    """RPC-14."""
    stub = RpcStub(Node())
    promise = stub.where()
    for value in (promise, stub.info, Node):
        with pytest.raises(DataCloneError):
            await stub.note(value)
    await promise


async def test_the_argument_error_names_the_path():
    with pytest.raises(DataCloneError, match=r'at arguments\[1\]\["a"\]'):
        await RpcStub(Node()).call(print, {"a": object()})


# --- ownership ----------------------------------------------------------------------------------------


async def test_a_stub_in_arguments_ends_with_the_call():
    """RPC-19."""
    stub = RpcStub(Node())
    await stub.keep(lambda x: x)
    with pytest.raises(PerdureError, match=DISPOSED):
        await stub.use_kept()


async def test_the_callee_keeps_a_dup():
    """RPC-19."""
    stub = RpcStub(Node())
    await stub.keep_dup(lambda x: f"called {x}")
    assert await stub.use_kept() == "called kept"


@pytest.mark.rows("RPC-20")
async def test_the_caller_keeps_its_own_stub():
    """Stubs in parameters are duplicated (RPC-20)."""
    log = []
    stub, mine = RpcStub(Node()), RpcStub(Node("mine", log))
    await stub.keep(mine)
    await settle()
    assert await mine.where() == "mine"
    assert log == []


@pytest.mark.rows("RPC-20")
async def test_a_stub_in_a_result_is_the_callers_alone():
    """Stubs in results always transfer (RPC-20)."""
    stub = RpcStub(Node())
    await stub.keep_dup(lambda x: x)
    given = await stub.give_kept()
    assert await given["stub"](1) == 1
    with pytest.raises(PerdureError, match=DISPOSED):
        await stub.use_kept()


async def test_an_argument_can_be_given_back():
    stub = RpcStub(Node())
    back = await stub.give_back(lambda x: x + 1)
    assert await back(1) == 2


@pytest.mark.rows("RPC-16")
async def test_the_disposer_runs_when_the_last_stub_is_disposed():
    """RPC-16, RPC-21."""
    log = []
    stub = RpcStub(Node("a", log))
    other = stub.dup()
    stub.dispose()
    stub.dispose()
    await settle()
    assert log == []
    assert await other.where() == "a"
    other.dispose()
    await settle()
    assert log == ["a is gone"]


async def test_the_disposer_runs_when_the_last_stub_is_dropped():
    """Here garbage collection disposes: CPython counts references."""
    log = []
    child = await RpcStub(Node("", log)).child("a")
    await settle()
    log.clear()
    del child
    await settle()
    assert log == ["/a is gone"]


async def test_a_stub_may_be_dropped_in_any_thread():
    log = []
    held = [RpcStub(Node("a", log))]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    for _ in range(100):
        await asyncio.sleep(0.001)
        if log:
            break
    assert log == ["a is gone"]


async def test_each_delivery_of_a_target_is_disposed_by_itself():
    """Once for each delivered stub group (RPC-21)."""
    log = []
    node = Node("mine", log)
    stub = RpcStub(Node())
    await stub.note(node)
    await stub.note(node)
    await settle()
    assert log == ["mine is gone", "mine is gone"]


@pytest.mark.rows("RPC-17")
async def test_with_disposes_at_the_end_of_the_block():
    """RPC-17."""
    with RpcStub(Node("a")) as stub:
        assert await stub.where() == "a"
    with pytest.raises(PerdureError, match=DISPOSED):
        await stub.where()


@pytest.mark.rows("RPC-18")
async def test_dispose_of_a_value_disposes_all_stubs_in_it():
    """RPC-18."""
    info = await RpcStub(Node()).info
    dispose(info)
    with pytest.raises(PerdureError, match=DISPOSED):
        await info["deep"]["double"](1)


async def test_dispose_of_a_value_calls_nothing_of_targets_and_services():
    """A target is told by the stubs of it alone; any attribute of an object's stub is a call."""

    class Service(Stub):
        def __init__(self):
            self.__dict__["_capability"] = None

    log = []
    dispose({"target": Node("mine", log), "service": Service()})
    await settle()
    assert log == []


@pytest.mark.rows("RPC-17")
async def test_disposing_a_promise_disposes_its_result():
    """RPC-17."""
    log = []
    promise = RpcStub(Node("", log)).child("a")
    promise.dispose()
    await settle()
    assert "/a is gone" in log
    with pytest.raises(PerdureError, match="RPC promise used after being disposed"):
        await promise.where()


async def test_an_intermediate_result_is_disposed_when_nobody_needs_it():
    log = []
    stub = RpcStub(Node("", log))
    assert await stub.child("a").where() == "/a"
    await settle()
    assert log == ["/a is gone"]


async def test_the_disposer_waits_for_calls_under_way():
    log = []

    class Slow(RpcTarget):
        async def run(self):
            await asyncio.sleep(0)
            log.append("ran")

        def dispose(self):
            log.append("gone")

    stub = RpcStub(Slow())
    call = stub.run()
    stub.dispose()
    await call
    await settle()
    assert log == ["ran", "gone"]


async def test_what_a_disposer_raises_is_logged(caplog):
    """Errors are reported on the owner's side, not to the caller (RPC-21)."""

    class Bad(RpcTarget):
        def dispose(self):
            raise ValueError("no")

    RpcStub(Bad()).dispose()
    await settle()
    assert "Bad.dispose() failed" in caplog.text


async def test_stubs_leave_nothing_behind():
    """A target is freed when its stubs are gone."""
    import weakref

    node = Node()
    gone = weakref.ref(node)
    stub = RpcStub(node)
    await stub.child("a").child("b").where()
    del node, stub
    await settle()
    gc.collect()
    assert gone() is None


async def test_a_failure_that_was_passed_on_is_not_logged_as_one_that_nobody_heard(caplog):
    """Also when who went on with it has gone."""
    stub = RpcStub(Node())
    going_on = stub.fail().where()
    going_on.cancel()
    later = stub.slowly().fail()
    await settle()
    with pytest.raises(ValueError, match="failed"):
        await later
    del going_on, later
    gc.collect()
    await settle()
    assert "never retrieved" not in caplog.text


async def test_a_failure_that_nobody_asks_for_is_logged_when_the_call_is_dropped(caplog):
    """As that of any future (LIFE-17); a call that succeeds is dropped without a word."""
    stub = RpcStub(Node())
    stub.where()
    await settle()
    gc.collect()
    assert caplog.text == ""
    stub.fail()
    await settle()
    gc.collect()
    assert "exception was never retrieved" in caplog.text
    assert "ValueError: failed" in caplog.text


async def test_a_promise_is_a_future():
    stub = RpcStub(Node("here"))
    promise = stub.where()
    assert isinstance(promise, (RpcPromise, asyncio.Future))
    assert await asyncio.wait_for(promise, 5) == "here"
    assert await asyncio.create_task(stub.where()) == "here"
    assert await stub.info["path"] == "here"


@pytest.mark.parametrize("made", [lambda stub: stub.noted, lambda stub: stub.noted(), lambda stub: stub])
async def test_what_is_not_there_yet_is_not_iterable(made):
    """An `await` that was forgotten is told at once; items by index would have no end."""
    value = made(RpcStub(Node()))
    with pytest.raises(TypeError, match="is not iterable"):
        list(value)


async def test_a_stream_that_is_not_there_yet_can_be_gone_through():
    """As type checkers take it: a method with `yield` returns an iterator to them."""
    stub = RpcStub(Node())
    assert [n async for n in stub.numbers(3)] == [0, 1, 2]
    assert [n async for n in stub.some_numbers] == [0, 1]
    with pytest.raises(TypeError, match="__aiter__"):
        [n async for n in stub.where()]


async def test_a_stub_may_be_disposed_in_any_thread():
    """What that brings about is code of the loop."""
    told = []

    class Ended(RpcTarget):
        def dispose(self):
            told.append(threading.current_thread())

    ended, stream = RpcStub(Ended()), await RpcStub(Node()).numbers(3)

    def elsewhere():
        with ended:
            stream.dispose()

    await asyncio.to_thread(elsewhere)
    await until(lambda: told)
    assert told == [threading.current_thread()]


async def test_in_another_thread_a_stub_says_where_it_can_be_used():
    stub, gone = RpcStub(Node()), RpcStub(Node())
    gone.dispose()

    def elsewhere():
        for use in (lambda: stub.where(), lambda: stub.info.__await__(), lambda: RpcStub(Node())):
            with pytest.raises(RuntimeError, match="rt.run"):
                use()
        with pytest.raises(PerdureError, match=DISPOSED):
            gone.where()

    await asyncio.to_thread(elsewhere)
