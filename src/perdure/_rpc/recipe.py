"""Recipe: what `map` does with each item, recorded once and carried out where the items are. (cooperative)

The function is called with a promise that stands for the item. What it asks of that, and of what comes of it, is
written down step by step, as is all that it calls meanwhile; stubs that it holds are captured. Values are what it
made them.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from perdure._base import limits
from perdure._base.values import copy
from perdure._rpc import stub as stubs
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.crossing import Crossing
from perdure._rpc.promise import RpcPromise, failed
from perdure._rpc.settling import fill, settle
from perdure._rpc.stub import RpcProperty, Stub, stub_of
from perdure.errors import PerdureError

NO_AWAIT: Final = "The function of map() is called once, before the items are there: it cannot await them."
IS_ASYNC: Final = "The function of map() must be a plain function, which only calls, reads and puts together."
FOREIGN: Final = "An item of map() can be used inside of its own function only."
TOO_MUCH: Final = f"map() over so many items does more than {limits.RPC_MAP_STEPS_MAX:,} things."


_Slot: TypeAlias = tuple[Any, Any, RpcPromise]


@dataclass(frozen=True, slots=True)
class Ref:
    """
    Stands for something in a recipe's values.

    Attributes:
        index: 0 is the item, n the outcome of the nth step, -n the nth capture.
    """

    index: int

    def __perdure_cross__(self, crossing: Any) -> Any:
        raise TypeError(FOREIGN)


@dataclass(slots=True)
class Step:
    """
    One call or read, or a `map` inside.

    Attributes:
        subject: on what.
        path: what of it.
        args: the arguments, with `Ref`s in them; None for a read.
        kwargs: those by name.
        recipe: of a `map` inside; its captures are in terms of the recipe that this step is in.
    """

    subject: Ref
    path: Path
    args: list[Any] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None


@dataclass(slots=True)
class Recipe:
    """
    Attributes:
        captures: stubs of what it uses beside the item; `Ref`s if it is inside of another recipe.
        steps: in the order in which they are carried out.
        result: the value of it all, with `Ref`s in it.
    """

    captures: list[Any] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    result: Any = None

    def size(self) -> int:
        """How many things are done with one item."""
        return 1 + sum(1 if step.recipe is None else step.recipe.size() for step in self.steps)


# --- carrying it out --------------------------------------------------------------------------------------


def apply_to(promise: RpcPromise, recipe: Recipe) -> RpcPromise:
    """Carry out *recipe* on what *promise* brings."""
    return promise._then(lambda value: apply(value, recipe, recipe.captures))


def apply(value: Any, recipe: Recipe, captures: list[Any]) -> RpcPromise:
    """Carry out *recipe* on *value*: on each item of a list, not at all on None."""
    if value is None:
        return _kept(None)
    if recipe.size() * (len(value) if type(value) is list else 1) > limits.RPC_MAP_STEPS_MAX:
        return failed(PerdureError(TOO_MUCH))
    if type(value) is not list:
        return _once(value, recipe, captures)
    found: list[Any] = [None] * len(value)
    slots = [(found, index, _once(item, recipe, captures)) for index, item in enumerate(value)]
    return _filled(found, slots)


def _once(item: Any, recipe: Recipe, captures: list[Any]) -> RpcPromise:
    done = [_kept(item)]

    def of(ref: Ref) -> Any:
        return done[ref.index] if ref.index >= 0 else captures[-ref.index - 1]

    for step in recipe.steps:
        done.append(_start(step, of))
    slots: list[_Slot] = []
    root = [None]
    root[0] = _instance(recipe.result, of, slots, root, 0)
    return _filled(root, slots, lambda: root[0])


def _start(step: Step, of: Callable[[Ref], Any]) -> RpcPromise:
    subject = of(step.subject)
    target: Capability = (
        subject._onward() if isinstance(subject, RpcPromise) else subject._capability  # a capture
    )
    if step.recipe is not None:
        inner = step.recipe
        captures = [of(ref) for ref in inner.captures]
        return target.get(step.path)._then(lambda value: apply(value, inner, captures))
    if step.args is None:
        return target.get(step.path)
    slots: list[_Slot] = []
    root: list[Any] = [None, None]
    root[0] = _instance(step.args, of, slots, root, 0)
    root[1] = _instance(step.kwargs, of, slots, root, 1)
    if not slots:
        return target.call(step.path, tuple(root[0]), root[1])
    return _filled(root, slots)._then(lambda _: target.call(step.path, tuple(root[0]), root[1]))


def _instance(value: Any, of: Callable[[Ref], Any], slots: list[_Slot], holder: Any, key: Any) -> Any:
    """Return *value* for one item: its own lists and dicts, and a place for what is not there yet."""
    kind = type(value)
    if kind is list:
        new: Any = list(value)
        for index, item in enumerate(value):
            new[index] = _instance(item, of, slots, new, index)
        return new
    if kind is dict:
        new = dict(value)
        for name, item in value.items():
            new[name] = _instance(item, of, slots, new, name)
        return new
    if kind is not Ref:
        return value
    found = of(value)
    if isinstance(found, RpcPromise):
        slots.append((holder, key, found))
    return found


def _kept(value: Any) -> RpcPromise:
    promise = RpcPromise(loop=asyncio.get_running_loop())
    promise.set_result(value)
    return promise


def _filled(root: Any, slots: list[_Slot], value: Callable[[], Any] | None = None) -> RpcPromise:
    """Return a promise of *root*, or of *value* then, once all of *slots* have their values."""
    promise = RpcPromise(loop=asyncio.get_running_loop())

    def then(error: BaseException | None) -> None:
        # Copied: two items may have the same outcome, of which each has a stub of its own.
        found = None if error is not None else copy(root if value is None else value(), cross=Crossing())
        settle(promise, found, error)

    fill(slots, then)
    return promise


# --- recording --------------------------------------------------------------------------------------------


class _Recorder:
    """Writes down what a function does with a stand-in of the item (`Interceptor` of stubs)."""

    def __init__(self, outer: _Recorder | None) -> None:
        self.outer = outer
        self.recipe = Recipe()
        self._thread = threading.get_ident()
        self._captured: dict[int, Ref] = {}
        self._held: list[Any] = []  # what `_captured` tells apart by id

    def stand_in(self, ref: Ref) -> RpcPromise:
        promise = RpcPromise(loop=asyncio.get_running_loop())
        promise._pipeline = _StandIn(self, ref)
        return promise

    def call(
        self, capability: Capability, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> RpcPromise:
        """Write down a call of whatever stub the function has."""
        if threading.get_ident() != self._thread:
            return capability.call(path, args, kwargs)  # another thread's, which records nothing
        given = [self.value(item) for item in args]
        named = {name: self.value(item) for name, item in kwargs.items()}
        return self.add(Step(self.ref(capability), path, given, named))

    def add(self, step: Step) -> RpcPromise:
        self.recipe.steps.append(step)
        return self.stand_in(Ref(len(self.recipe.steps)))

    def ref(self, capability: Capability) -> Ref:
        """Return what stands for *capability* in this recipe."""
        if isinstance(capability, _StandIn) and capability.recorder is self:
            return capability.ref
        known = self._captured.get(id(capability))
        if known is not None:
            return known
        if self.outer is not None:
            captured: Any = self.outer.ref(capability)
        elif isinstance(capability, _StandIn):
            raise TypeError(FOREIGN)
        else:
            captured = stub_of(capability.dup())
        self.recipe.captures.append(captured)
        self._held.append(capability)
        ref = self._captured[id(capability)] = Ref(-len(self.recipe.captures))
        return ref

    def value(self, value: Any) -> Any:
        """Return *value* with `Ref`s for what is not there yet, and for stubs."""
        kind = type(value)
        if kind is list or kind is tuple:
            return [self.value(item) for item in value]
        if kind is dict:
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, RpcProperty):
            return Ref(_index(self.add(Step(self.ref(value._capability), value._path))))
        if isinstance(value, RpcPromise):
            return self.ref(value._onward())
        if isinstance(value, Stub):
            return self.ref(value._capability)
        return copy(value, label="value in map()")


def _index(promise: RpcPromise) -> int:
    stand_in = promise._pipeline
    assert isinstance(stand_in, _StandIn)
    return stand_in.ref.index


class _StandIn(Capability):
    """What stands for an item, or the outcome of a step, while a function is recorded."""

    __slots__ = ("recorder", "ref")

    def __init__(self, recorder: _Recorder, ref: Ref) -> None:
        self.recorder = recorder
        self.ref = ref

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        raise TypeError(FOREIGN)  # the function is recorded already: calls in it are intercepted

    def get(self, path: Path) -> RpcPromise:
        raise TypeError(NO_AWAIT)

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        """It holds nothing."""

    def on_broken(self, callback: OnBroken) -> None:
        raise TypeError(NO_AWAIT)

    def describe(self) -> str:
        return "an item of map()"


_one_thread: Final = threading.RLock()
"""Loops in other threads may have stubs, too."""


def record(function: Callable[[Any], Any]) -> Recipe:
    """Return what *function* does with an item."""
    with _one_thread:
        outer = stubs.interceptor
        assert outer is None or isinstance(outer, _Recorder), "nobody else intercepts"
        recorder = stubs.interceptor = _Recorder(outer)
        try:
            result = function(recorder.stand_in(Ref(0)))
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(IS_ASYNC)
            recorder.recipe.result = recorder.value(result)
        finally:
            stubs.interceptor = outer
        return recorder.recipe


def map_over(capability: Capability, path: Path, function: Callable[[Any], Any]) -> RpcPromise:
    """Do what *function* says with what is at *path*."""
    recipe = record(function)
    outer = stubs.interceptor
    if outer is None:
        return capability.map(path, recipe)
    assert isinstance(outer, _Recorder)
    return outer.add(Step(outer.ref(capability), path, recipe=recipe))
