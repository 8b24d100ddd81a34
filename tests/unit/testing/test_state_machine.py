"""DurableObjectStateMachine: an object that keeps to its model passes, and mistakes are found and told."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from perdure import DurableObject, testing
from perdure.errors import ObjectReset
from perdure.testing import DurableObjectStateMachine

FEW = settings(max_examples=25, stateful_step_count=15, derandomize=True, database=None)
MANY = settings(FEW, max_examples=400, phases=[Phase.generate])


class Account(DurableObject):
    async def deposit(self, amount):
        if amount < 0:
            raise ValueError("less than nothing")
        self.ctx.storage.kv["balance"] = balance = await self.balance() + amount
        return balance

    async def balance(self):
        return self.ctx.storage.kv.get("balance", 0)


class PlainAccount:
    def __init__(self):
        self.saved = 0

    def deposit(self, amount):
        if amount < 0:
            raise ValueError("less than nothing")
        self.saved += amount
        return self.saved

    def balance(self):
        return self.saved


class Machine(DurableObjectStateMachine):
    object_class = Account
    model_class = PlainAccount
    state = "balance"

    @rule(amount=st.integers(-1, 9))
    def deposit(self, amount):
        self.call("deposit", amount)


def play(machine):
    run_state_machine_as_test(machine, settings=FEW)


def test_an_object_that_is_as_its_model_passes():
    """Whatever happens to it in between."""
    play(Machine)


def test_crashes_come_in_the_middle_of_calls():
    """Both ends are seen: the call has happened, and it has not."""
    seen: set[bool] = set()

    class Done(Exception):
        pass

    class Watching(Machine):
        def _after_crash(self, what, before):
            super()._after_crash(what, before)
            seen.add(self.model is before)
            if len(seen) == 2:
                raise Done

    with pytest.raises(Done):
        run_state_machine_as_test(Watching, settings=MANY)


class InMemory(Account):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.saved = 0

    async def deposit(self, amount):
        if amount < 0:
            raise ValueError("less than nothing")
        self.saved += amount
        return self.saved

    async def balance(self):
        return self.saved


class InTwoTurns(Account):
    async def deposit(self, amount):
        if amount < 0:
            raise ValueError("less than nothing")
        self.ctx.storage.kv["balance"] = await self.balance() + 1
        await self.ctx.storage.sync()
        self.ctx.storage.kv["balance"] = balance = await self.balance() + amount - 1
        return balance


class Silent(Account):
    async def deposit(self, amount):
        return await super().deposit(max(0, amount))


class Loud(Account):
    async def deposit(self, amount):
        if amount == 7:
            raise ObjectReset("not seven")
        return await super().deposit(amount)


@pytest.mark.parametrize(
    ("mistaken", "told"),
    [
        (InMemory, r"balance\(\) of the object is \d+, of the model [1-9]|neither as before nor as after"),
        (InTwoTurns, r"after a crash in deposit\(\d+\) the object is neither as before nor as after"),
        (Silent, r"deposit\(-1\) returned 0; the model raised ValueError\('less than nothing'\)"),
        (Loud, r"deposit\(7\) raised .*not seven.*; the model returned"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_found_and_told(mistaken, told):
    """What the object keeps in memory alone, what it does in two commits, and what it answers."""

    class Mistaken(Machine):
        object_class = mistaken

    with pytest.raises(AssertionError, match=told):
        run_state_machine_as_test(Mistaken, settings=MANY)


class Daily(Account):
    async def deposit(self, amount):
        self.ctx.storage.set_alarm(timedelta(hours=1))
        return await super().deposit(amount)

    async def alarm(self):
        await super().deposit(1)


class PlainDaily(PlainAccount):
    def __init__(self):
        super().__init__()
        self.left_s = None

    def deposit(self, amount):
        if amount >= 0:
            self.left_s = 3600
        return super().deposit(amount)

    def advance(self, seconds):
        if self.left_s is not None:
            self.left_s -= seconds
            if self.left_s <= 0:
                self.left_s = None
                super().deposit(1)


def test_a_model_hears_of_time_that_passes():
    """Alarms of the object run meanwhile, crashes or not."""

    class Alarms(Machine):
        object_class = Daily
        model_class = PlainDaily

    play(Alarms)


def test_a_machine_that_lacks_something_says_what():
    """Before anything runs."""

    class Half(DurableObjectStateMachine):
        object_class = Account
        model_class = PlainAccount

    with pytest.raises(TypeError, match="Half has no state"):
        Half()


def test_without_hypothesis_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "perdure.testing.state_machine")
    monkeypatch.delattr(testing, "DurableObjectStateMachine")
    with pytest.raises(
        ModuleNotFoundError, match=r"needs Hypothesis: install it with  pip install 'perdure\[testing\]'"
    ):
        testing.DurableObjectStateMachine  # noqa: B018 - it is loaded at first use


def test_hypothesis_is_imported_for_it_alone():
    """Whoever does not use it need not have it."""
    code = "import sys, perdure.testing, perdure.testing.plugin; perdure.testing.run_simulation; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
