"""What a failure looks like to a caller."""

from __future__ import annotations

import asyncio

import pytest

from perdure._base.failure import for_caller, mark, reset_error
from perdure.errors import ObjectReset, RemoteError


class ReadOnly(Exception):
    @property
    def remote(self):
        return False


def test_every_caller_gets_a_copy():
    """Attributes come along; changing one changes no other."""
    error = ValueError("bad")
    error.code = 7
    one, two = for_caller(error), for_caller(error)
    assert one is not two is not error
    assert (type(one), str(one), one.code) == (ValueError, "bad", 7)


@pytest.mark.parametrize("cls", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_would_end_more_than_a_call_arrives_as_a_remote_error(cls):
    """With the name of what it was."""
    answer = for_caller(cls("why"))
    assert type(answer) is RemoteError
    assert cls.__name__ in answer.name
    assert str(answer) == "why"


def test_a_mark_is_set_on_the_copy():
    """Whatever its class."""
    answer = mark(for_caller(ValueError("bad")), remote=True, durable_object_id="ab")
    assert answer.remote
    assert answer.durable_object_id == "ab"


def test_the_first_object_that_failed_is_kept():
    """Who passes an error on is not its origin."""
    answer = mark(ValueError("bad"), durable_object_id="first")
    assert mark(answer, durable_object_id="second").durable_object_id == "first"


def test_an_exception_that_takes_no_mark_is_replaced():
    """By one that tells the same."""
    answer = mark(ReadOnly("bad"), remote=True, durable_object_id="ab")
    assert type(answer) is RemoteError
    assert (str(answer), answer.remote, answer.durable_object_id) == ("bad", True, "ab")
    assert answer.name.endswith("ReadOnly")


def test_a_reset_is_marked_as_one():
    """Also an error that is none of ours."""
    assert reset_error(ValueError("bad")).durable_object_reset
    assert reset_error(ObjectReset("bad")).durable_object_reset
