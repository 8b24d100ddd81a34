"""The runtime's own handlers of an object."""

from __future__ import annotations

import functools

import pytest

from perdure._engine.methods import call_with, handler, takes


class Thing:
    number = 1

    def method(self):
        pass


def test_a_handler_is_a_function():
    """What is something else counts as absent (CTX-19)."""
    thing = Thing()
    assert handler(thing, "method") == thing.method
    assert handler(thing, "number") is None
    assert handler(thing, "nothing") is None


def passing_on(handler):
    @functools.wraps(handler)
    def decorated(*args, **kwargs):
        return handler(*args, **kwargs)

    return decorated


def filling_in(handler):
    @functools.wraps(handler)
    def decorated(self, request):
        return handler(self, request, "env", "ctx")

    return decorated


def leaving_out(handler):
    @functools.wraps(handler)
    def decorated(self, request, env, ctx):
        return handler(self, request)

    return decorated


def test_a_decorated_handler_is_given_what_its_decorator_takes():
    """`functools.wraps` shows the signature of the function inside; that one counts only where `*args` are passed on."""

    class Decorated:
        @passing_on
        @passing_on
        def passes(self, request):
            return [request]

        @filling_in
        def fills(self, request, env, ctx):
            return [request, env, ctx]

        @leaving_out
        def leaves(self, request):
            return [request]

    thing = Decorated()
    assert call_with(thing.passes, 1, 2, 3) == [1]
    assert call_with(thing.fills, 1, 2, 3) == [1, "env", "ctx"]
    assert call_with(thing.leaves, 1, 2, 3) == [1]


@pytest.mark.parametrize(
    ("function", "count"), [(max, 2), (print, 2), (len, 1), (functools.partial(divmod, 1), 1)]
)
def test_a_function_that_does_not_tell_what_it_takes_is_given_all(function, count):
    """Some built-in ones; others tell it."""
    assert takes(function, 2) == count
