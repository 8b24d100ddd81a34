"""The runtime's own handlers of an object."""

from __future__ import annotations

from perdure._engine.methods import handler


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
