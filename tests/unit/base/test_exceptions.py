"""Exceptions as values: what arrives of them, by copy and through bytes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from typing import Any

import pytest

from perdure import errors
from perdure._base.codec import dumps, loads
from perdure._base.registry import Registry
from perdure._base.values import copy, copy_exception

pytestmark = pytest.mark.rows("RPC-25", "ERR-07")

REGISTRY = Registry([__name__])


class NeedsArguments(Exception):
    def __init__(self, seat: str, *, code: int) -> None:
        super().__init__(f"seat {seat} is taken")
        self.seat = seat
        self.code = code


class SlottedError(Exception):
    __slots__ = ("detail",)


class OwnNew(ValueError):
    def __new__(cls, first, second):
        raise AssertionError("never run for a copy")


class OwnOSError(OSError):
    def __init__(self, path):
        super().__init__(2, "gone", path)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError


class OwnGroup(ExceptionGroup):
    pass


@dataclasses.dataclass
class DataError(Exception):
    reason: str
    more: list[int]


def through_bytes(error: BaseException) -> Any:
    return loads(dumps(error, REGISTRY), REGISTRY)


travels = pytest.mark.parametrize("travel", [lambda error: copy_exception(error, REGISTRY), through_bytes])


def raised(body: str) -> BaseException:
    """Return the exception that *body* raises."""
    try:
        exec(body, {})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


BUILT_IN = [
    KeyError("k"), ValueError(), ValueError("a", 1, (2, [3])), RuntimeError("x" * 1000), SystemExit(3), KeyboardInterrupt(),
    OSError(2, "no such thing", "/a", None, "/b"), OSError("just text"), ConnectionResetError(104, "reset"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), UnicodeEncodeError("ascii", "\ud800", 0, 1, "bad"),
    UnicodeTranslateError("x", 0, 1, "bad"), StopIteration(4), StopAsyncIteration(), AssertionError(),
    ImportError("no", name="n", path="/p"), raised("1/0"), raised("x = ("), raised("undefined_name"), raised("(1).nothing"),
    raised("{}['k']"), raised("import nothing_of_this_name"), raised("int('x')"), raised("open('/nothing/here')"),
]  # fmt: skip


@travels
@pytest.mark.parametrize("error", BUILT_IN, ids=repr)
def test_built_in_exceptions_arrive_as_themselves(travel, error):
    """Class, text, arguments and the attributes Python's own exceptions keep in C are the same."""
    new = travel(error)
    assert type(new) is type(error)
    assert new is not error
    assert (str(new), repr(new), new.args) == (str(error), repr(error), error.args)
    for name in (
        "errno",
        "strerror",
        "filename",
        "filename2",
        "reason",
        "start",
        "code",
        "value",
        "name",
        "lineno",
    ):
        assert getattr(new, name, None) == getattr(error, name, None)
    assert new.__traceback__ is None


@travels
def test_exceptions_of_the_application_arrive_as_themselves(travel):
    """A class that needs arguments is rebuilt without its __init__; its attributes are the same."""
    new = travel(NeedsArguments("A1", code=7))
    assert type(new) is NeedsArguments
    assert (str(new), new.seat, new.code) == ("seat A1 is taken", "A1", 7)


@travels
def test_constructors_never_run(travel):
    """Neither __new__ nor __init__ of a class sees made-up arguments."""
    bare = ValueError.__new__(OwnNew)
    bare.args = ("a", "b")
    assert (type(travel(bare)), travel(bare).args) == (OwnNew, ("a", "b"))
    assert str(travel(OwnOSError("/p"))) == "[Errno 2] gone: '/p'"
    assert travel(DataError("why", [1])) == DataError("why", [1])


@travels
def test_attributes_in_slots_travel(travel):
    """What a class keeps in slots is part of it."""
    error = SlottedError("x")
    error.detail = [1]
    assert travel(error).detail == [1]


@travels
@pytest.mark.parametrize(
    "make",
    [
        lambda: errors.DataCloneError("no"),
        lambda: errors.SqlError("bad: X", "X"),
        lambda: errors.ObjectReset("gone"),
    ],
)
def test_exceptions_of_perdure_arrive_as_themselves(travel, make):
    """Perdure's own exceptions keep class, text, attributes and flags."""
    error = make()
    error.remote = True
    new = travel(error)
    assert type(new) is type(error)
    assert (str(new), new.__dict__, new.remote) == (str(error), error.__dict__, True)


@travels
def test_exceptions_of_the_standard_library_arrive_as_themselves(travel):
    """Python's library counts as Python."""
    assert type(travel(asyncio.CancelledError())) is asyncio.CancelledError
    assert travel(json.JSONDecodeError("bad", "{", 1)).pos == 1


@travels
def test_notes_and_the_cause_travel(travel):
    """What `add_note` and `raise … from` gave an exception arrives with it; its context does not."""
    error = NeedsArguments("A1", code=7)
    error.add_note("while booking")
    error.__cause__ = KeyError("k")
    error.__context__ = ValueError("hidden")
    new = travel(error)
    assert new.__notes__ == ["while booking"]
    assert repr(new.__cause__) == "KeyError('k')"
    assert new.__suppress_context__
    assert new.__context__ is None


@travels
def test_groups_travel_with_their_members(travel):
    """An exception group arrives with its message, members, notes and attributes."""
    group = ExceptionGroup("two", [NeedsArguments("A1", code=1), OwnGroup("inner", [OSError(2, "x", "/f")])])
    group.add_note("note")
    group.extra = [1]  # type: ignore[attr-defined]
    new = travel(group)
    assert repr(new) == repr(group)
    assert type(new.exceptions[1]) is OwnGroup
    assert new.exceptions[1].exceptions[0].filename == "/f"
    assert (new.__notes__, new.extra) == (["note"], [1])
    assert type(travel(BaseExceptionGroup("b", [SystemExit(1)]))) is BaseExceptionGroup


@travels
def test_cycles_through_exceptions_are_kept(travel):
    """An exception that is its own cause's cause, or a member that holds its group, stays so."""
    first, second = ValueError("1"), KeyError("2")
    first.__cause__, second.__cause__ = second, first
    new = travel(first)
    assert new.__cause__.__cause__ is new
    group = ExceptionGroup("g", [first])
    first.group = group  # type: ignore[attr-defined]
    group.itself = group  # type: ignore[attr-defined]
    new = travel(group)
    assert new.exceptions[0].group is new
    assert new.itself is new


@travels
def test_an_attribute_that_cannot_travel_stays_behind(travel):
    """A lock among an exception's attributes does not cost it its class."""
    error = NeedsArguments("A1", code=7)
    error.lock = [threading.Lock()]  # type: ignore[attr-defined]
    error.more = {"fine": [1]}  # type: ignore[attr-defined]
    new = travel(error)
    assert type(new) is NeedsArguments
    assert not hasattr(new, "lock")
    assert new.more == {"fine": [1]}


@travels
def test_arguments_that_cannot_travel_make_it_a_remote_error(travel):
    """An exception is not itself without its arguments."""
    new = travel(ValueError("broken", threading.Lock))
    assert type(new) is errors.RemoteError
    assert new.name == "ValueError"
    assert str(new).startswith("('broken', <built-in function allocate_lock>)")


@pytest.mark.parametrize(
    "travel",
    [
        lambda error: copy_exception(error, Registry()),
        lambda error: loads(dumps(error)),
        lambda error: loads(dumps(error, REGISTRY)),
    ],
)
def test_an_exception_of_an_unknown_class_arrives_as_a_remote_error(travel):
    """A class that the other side does not know is told by its name and text."""
    new = travel(NeedsArguments("A1", code=7))
    assert type(new) is errors.RemoteError
    assert (str(new), new.name) == ("seat A1 is taken", f"{__name__}.NeedsArguments")
    group = travel(OwnGroup("several", [ValueError("v")]))
    assert (type(group), group.name) == (errors.RemoteError, f"{__name__}.OwnGroup")


def test_unknown_causes_and_members_become_remote_errors():
    """An exception of a known class keeps it when what it holds is unknown."""
    error = ValueError("known")
    error.__cause__ = NeedsArguments("A1", code=7)
    new = copy_exception(error, Registry())
    assert type(new) is ValueError
    assert type(new.__cause__) is errors.RemoteError
    group = copy_exception(ExceptionGroup("g", [NeedsArguments("A1", code=7)]), Registry())
    assert isinstance(group, ExceptionGroup)
    assert type(group.exceptions[0]) is errors.RemoteError


def test_copying_an_exception_never_fails():
    """A class whose text cannot be made, or a chain beyond any depth, still gives an exception."""
    assert "Unprintable" in str(copy_exception(Unprintable(), Registry()))
    last: BaseException = ValueError("last")
    for _ in range(20_000):
        following = ValueError("next")
        following.__cause__ = last
        last = following
    new = copy_exception(last)
    assert type(new) is errors.RemoteError
    assert str(new) == "next"


def test_an_exception_is_a_value_too():
    """Exceptions inside values are copied in the same way (017)."""
    new = copy({"errors": [TypeError("typed"), NeedsArguments("A1", code=7)]}, registry=Registry())
    assert [type(error) for error in new["errors"]] == [TypeError, errors.RemoteError]
