"""DurableObjectStateMachine: Hypothesis calls an object, evicts it, crashes it, and compares it with a plain model. (cooperative)

The only module that imports Hypothesis. Each example is a simulation with a seed of its own, which Hypothesis chooses too, so
what fails is replayed, and shrinks, as with any other test.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from typing import Any, ClassVar, TypeVar

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "DurableObjectStateMachine needs Hypothesis: install it with  pip install 'perdure[testing]'",
        name=error.name,
    ) from error

from perdure.errors import PerdureError
from perdure.testing.harness import memory_folder
from perdure.testing.helpers import evict_durable_object
from perdure.testing.loop import SimulatedLoop
from perdure.testing.simulation import Simulation, simulation

T = TypeVar("T")

ADVANCE_S_MAX = 7 * 86_400
_NTH_MAX = 3
_POINTS = [
    f"{when}_{what}"
    for what in ("wal_write", "journal_append", "fsync", "gate_release")
    for when in ("before", "after")
]
"""What a call that writes goes through, in this order."""


class DurableObjectStateMachine(RuleBasedStateMachine):
    """
    A state machine of Hypothesis for one object; its rules are yours, the accidents come with it.

    A subclass says what is compared, and has a rule for each method, which does `self.call(...)`:

    ```python
    class CounterMachine(DurableObjectStateMachine):
        object_class = Counter
        model_class = PlainCounter
        state = "value"

        @rule(by=st.integers())
        def add(self, by):
            self.call("add", by)


    TestCounter = CounterMachine.TestCase
    ```

    Between those rules the object is evicted, time passes, the process is killed or loses its power, also in the middle of a
    call; then either all of the call has happened, or nothing. After each rule the object's state must be the model's.

    Attributes:
        object_class: the durable object.
        model_class: called without arguments, returns what behaves as the object should: a plain class with plain methods of the
            same names. If it has `advance(seconds)`, it is told of time that passes. It is copied with `copy.deepcopy`.
        state: name of a method without arguments, of both, that returns all that is to be compared and changes nothing.
        classes: further classes of the application.
        options: further arguments of `run_simulation`, as `vars`.
        model: the model of this run.
    """

    object_class: ClassVar[type]
    model_class: ClassVar[Any]
    state: ClassVar[str]
    classes: ClassVar[tuple[type, ...]] = ()
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        missing = [name for name in ("object_class", "model_class", "state") if not hasattr(self, name)]
        if missing:
            raise TypeError(f"{type(self).__name__} has no {missing[0]}: see DurableObjectStateMachine.")
        super().__init__()
        self.model: Any = type(self).model_class()
        self._world: ExitStack | None = None
        self._sim: Simulation | None = None
        self._runner: asyncio.Runner

    # --- for rules ------------------------------------------------------------------------------------

    @property
    def sim(self) -> Simulation:
        """Return the simulation of this run."""
        if self._sim is None:
            self._open(0)  # an `initialize` of the subclass came first
        assert self._sim is not None
        return self._sim

    @property
    def stub(self) -> Any:
        """Return a stub of the object."""
        return self.sim.namespace(self.object_class).get_by_name("it")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of your own to its end, in the simulation."""
        assert self.sim is not None
        return self._runner.run(coroutine)

    def call(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """
        Call *method* of the object and of the model, and compare what they return or raise.

        Returns what the object returned; None if both raised, or if the process crashed meanwhile.
        """
        before = copy.deepcopy(self.model)
        crashes = self.sim.crashes
        expected, failure = _outcome(getattr(self.model, method), args, kwargs)
        what = f"{method}({', '.join([*map(repr, args), *(f'{name}={value!r}' for name, value in kwargs.items())])})"
        result, raised = None, None
        try:
            result = self.run(_await(getattr(self.stub, method)(*args, **kwargs)))
        except Exception as error:
            raised = error
        finally:
            self.sim.faults.clear()
        if self.sim.crashes > crashes:
            if raised is not None:
                self._after_crash(what, before)
                return None
            self._quietly(self.sim.restart())  # it came behind the answer
        if type(raised).__name__ == type(failure).__name__ and result == expected:
            return result
        raise AssertionError(
            f"{what} {_tell(result, raised)}; the model {_tell(expected, failure)}"
        ) from raised

    def _after_crash(self, what: str, before: Any) -> None:
        self._quietly(self.sim.restart())
        state = self._state()
        after, self.model = self.model, before
        if state == self._model_state():
            return
        self.model = after
        assert state == self._model_state(), (
            f"after a crash in {what} the object is neither as before nor as after: {self.state}() is {state!r}"
        )

    # --- what happens -----------------------------------------------------------------------------------

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Let chance be that of *seed*."""
        if self._sim is None:
            self._open(seed)

    @rule()
    def evict(self) -> None:
        """The object leaves memory."""
        with suppress(PerdureError):  # it is not there
            self._quietly(evict_durable_object(self.stub))

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        """The process is killed, or the machine loses its power, while nothing is in progress: nothing is lost."""
        self._quietly(self.sim.crash(power=power))

    @rule(point=st.sampled_from(_POINTS), nth=st.integers(1, _NTH_MAX), power=st.booleans())
    def crash_in_next_call(self, point: str, nth: int, power: bool) -> None:
        """The same at a point of the next call, if it gets there."""
        self.sim.faults.clear()
        self.sim.faults.crash(point, nth=nth, power=power)

    @rule(seconds=st.integers(0, ADVANCE_S_MAX))
    def advance(self, seconds: int) -> None:
        """Time passes, and alarms run."""
        self._quietly(self.sim.advance(seconds=seconds))
        if hasattr(self.model, "advance"):
            self.model.advance(seconds)

    @invariant()
    def object_is_as_the_model(self) -> None:
        """See the class."""
        state, expected = self._state(), self._model_state()
        assert state == expected, f"{self.state}() of the object is {state!r}, of the model {expected!r}"

    def teardown(self) -> None:
        """End the simulation."""
        if self._world is not None:
            self._world.close()

    # --- helpers --------------------------------------------------------------------------------------

    def _state(self) -> Any:
        return self._quietly(_await(getattr(self.stub, self.state)()))

    def _quietly(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* without what is planned for the next call."""
        with self.sim.faults.held():
            return self.run(coroutine)

    def _model_state(self) -> Any:
        return getattr(self.model, self.state)()

    def _open(self, seed: int) -> None:
        with ExitStack() as stack:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="perdure-sim-", dir=memory_folder())
            )
            self._runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: SimulatedLoop(seed)))
            opened = simulation(folder, self.object_class, *self.classes, seed=seed, **self.options)
            self._sim = self._runner.run(opened.__aenter__())
            stack.callback(lambda: self._runner.run(_await(opened.__aexit__(None, None, None))))
            self._world = stack.pop_all()


def _outcome(method: Any, args: Any, kwargs: Any) -> tuple[Any, Exception | None]:
    try:
        return method(*args, **kwargs), None
    except Exception as error:
        return None, error


def _tell(result: Any, raised: Exception | None) -> str:
    return f"returned {result!r}" if raised is None else f"raised {raised!r}"


async def _await(awaitable: Any) -> Any:
    return await awaitable
