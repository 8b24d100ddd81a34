"""Which members of a class a caller may reach."""

from __future__ import annotations

import functools

import pytest

from perdure import DurableObject
from perdure._rpc.reach import is_declared, kind_of


class Callable:
    def __call__(self):
        return 1


class Parent(DurableObject):
    def hidden_below(self):
        pass


class Thing(Parent):
    hidden_below = None
    callable_field = Callable()
    partial = functools.partial(print)
    Inner = type("Inner", (), {})
    number = 1

    def method(self):
        pass

    @property
    def prop(self):
        pass

    @functools.cached_property
    def cached(self):
        pass

    @staticmethod
    def static():
        pass


class Undeclared:
    def method(self):
        pass


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("method", "method"),
        ("static", "method"),
        ("callable_field", "method"),
        ("partial", "method"),
        ("prop", "property"),
        ("cached", "property"),
        ("fetch", "reserved"),
        ("dup", "reserved"),
        ("number", None),
        ("Inner", None),
        ("hidden_below", None),
        ("nothing", None),
        ("_private", None),
        ("__init__", None),
        ("ctx", None),
        ("mro", None),
    ],
)
def test_the_class_decides(name, kind):
    """Functions and what can be called like one, properties; nothing else."""
    assert kind_of(Thing, name) == kind


def test_a_class_without_the_base_has_nothing_to_call():
    """It is not declared."""
    assert is_declared(Thing)
    assert not is_declared(Undeclared)
    assert kind_of(Undeclared, "method") is None
