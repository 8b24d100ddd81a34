"""Names of classes: who has one, which class it leads to, what is refused."""

from __future__ import annotations

import dataclasses
import enum
import http.client
import sys
import types
from typing import Any

import pytest

from perdure import errors
from perdure._base import registry as registry_module
from perdure._base.registry import Registry, classes_in, value


@dataclasses.dataclass
class Seat:
    row: str

    class Kind(enum.Enum):
        BOX = 1


class Failure(Exception):
    pass


class Plain:
    pass


@pytest.fixture(autouse=True)
def forget_named_classes(monkeypatch):
    """Leave no class behind in the table of @perdure.value."""
    monkeypatch.setattr(registry_module, "_classes", {})
    monkeypatch.setattr(registry_module, "_names", {})


@pytest.fixture
def module(monkeypatch):
    """Return a function that makes a module with the given members."""

    def make(name: str, **members: Any) -> types.ModuleType:
        made = types.ModuleType(name)
        for key, member in members.items():
            if isinstance(member, type) and member.__module__ == __name__:
                member = dataclasses.make_dataclass(key, ["x"])
                member.__module__ = name
            setattr(made, key, member)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    return make


def test_classes_of_the_applications_modules_have_names():
    """Module and qualified name are the name; nested classes included."""
    registry = Registry([__name__])
    for cls in (Seat, Seat.Kind, Failure):
        name = registry.name_of(cls)
        assert name == f"{__name__}:{cls.__qualname__}"
        assert registry.resolve(name) is cls


def test_a_module_includes_those_below_it(module):
    """`app` stands for `app.models` too, and not for `apple`."""
    below, beside = module("app.models", Seat=Seat), module("apple", Seat=Seat)
    registry = Registry(["app"])
    assert registry.name_of(below.Seat) == "app.models:Seat"
    assert registry.resolve("app.models:Seat") is below.Seat
    assert not registry.knows(beside.Seat)
    with pytest.raises(errors.DataCloneError):
        registry.resolve("apple:Seat")


def test_an_alias_stores_another_name_for_a_module(module):
    """A program run as `__main__` may store the names it has when it is imported."""
    main = module("main_module", Seat=Seat)
    registry = Registry(["main_module"], aliases={"main_module": "app"})
    assert registry.name_of(main.Seat) == "app:Seat"
    assert registry.resolve("app:Seat") is main.Seat


def test_a_class_that_moved_is_found_where_it_is_imported(module):
    """An old name is answered when the old module still has the class."""
    new = module("app.new", Seat=Seat)
    module("app.old", Seat=new.Seat)
    assert Registry(["app"]).resolve("app.old:Seat") is new.Seat


@pytest.mark.parametrize(
    "name",
    [
        "app:function", "app:constant", "app:Plain", "app:missing", "app:Seat.missing", "app:lazy", "nowhere:Seat",
        "app:", ":", "", "app", "os:system", "subprocess:Popen", "builtins:object", "http:HTTPStatus", "app:Seat.x.y",
    ],
)  # fmt: skip
def test_a_name_leads_only_to_classes_that_travel_by_value(module, name):
    """Functions, other objects, other classes and other modules are not found, whatever the data says."""
    app = module("app", Seat=Seat, function=len, constant=1)
    app.Plain = type("Plain", (), {"__module__": "app"})
    app.__getattr__ = lambda name: pytest.fail("a module's __getattr__ was run")
    with pytest.raises(errors.DataCloneError, match="there is no such class here"):
        Registry(["app"]).resolve(name)


def test_resolving_imports_nothing():
    """A module that is not imported yet stays so."""
    assert "this" not in sys.modules
    with pytest.raises(errors.DataCloneError, match="import it when the application starts"):
        Registry(["this"]).resolve("this:Seat")
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "cls", [KeyError, ExceptionGroup, errors.SqlError, errors.RemoteError, http.client.HTTPException]
)
def test_exceptions_of_python_and_perdure_are_always_known(cls):
    """They need no registration."""
    registry = Registry()
    assert registry.resolve(registry.name_of(cls)) is cls


def test_a_class_inside_a_function_has_no_name():
    """It could not be found again; the error says what to do."""

    @dataclasses.dataclass
    class Local:
        x: int

    with pytest.raises(errors.DataCloneError) as caught:
        Registry([__name__]).name_of(Local)
    assert "is defined inside a function, where it cannot be found again" in str(caught.value)
    assert "@perdure.value" in str(caught.value)


def test_a_class_hidden_behind_another_has_no_name(module):
    """Two classes of one name: the one that the name does not lead to is refused."""
    app = module("app", Seat=Seat)
    hidden = app.Seat
    app.Seat = dataclasses.make_dataclass("Seat", ["x"])
    with pytest.raises(
        errors.DataCloneError, match=r'It cannot be found again: "Seat" in the module "app" is not this'
    ):
        Registry(["app"]).name_of(hidden)


def test_value_names_a_class_anywhere():
    """A decorated class has its name in every registry, also inside a function."""

    @value
    @dataclasses.dataclass
    class Local:
        x: int

    name = Registry().name_of(Local)
    assert name.endswith("<locals>.Local")
    assert Registry().resolve(name) is Local


def test_value_takes_a_name_that_stays():
    """With a name of its own a class can move."""
    assert value(name="booking.Seat")(Seat) is Seat
    assert Registry().name_of(Seat) == "booking.Seat"
    assert Registry().resolve("booking.Seat") is Seat


def test_value_registers_classes_of_libraries():
    """Called once, it names a class one cannot decorate."""
    assert value(http.HTTPStatus) is http.HTTPStatus
    assert Registry().resolve(Registry().name_of(http.HTTPStatus)) is http.HTTPStatus


def test_value_takes_the_last_definition():
    """A function that defines and decorates a class may run twice."""

    def define() -> type:
        @value
        @dataclasses.dataclass
        class Local:
            x: int

        return Local

    define()
    last = define()
    assert Registry().resolve(Registry().name_of(last)) is last


def test_value_refuses_a_name_that_is_taken():
    """Two different classes cannot share a name."""
    value(name="seat")(Seat)
    with pytest.raises(ValueError, match=f'the name "seat" already belongs to {__name__}:Seat'):
        value(name="seat")(Failure)


@pytest.mark.parametrize("wrong", [Plain, int, dict, type("Sub", (dict,), {})])
def test_value_refuses_a_class_that_cannot_travel(wrong):
    """Only kinds of class whose state is known can be registered."""
    with pytest.raises(
        TypeError, match=r"only dataclasses, msgspec Structs, .* Put @perdure.value above @dataclass"
    ):
        value(wrong)


def test_value_refuses_what_is_no_class():
    """A function or instance cannot be registered."""
    with pytest.raises(TypeError, match="perdure.value\\(\\) is for classes, not for 'x'"):
        value("x")  # type: ignore[type-var]


def test_an_annotation_makes_classes_known():
    """`allowing` adds the classes an annotation mentions, and changes nothing else."""
    registry = Registry()
    allowing = registry.allowing(dict[str, list[Seat] | None])
    name = f"{__name__}:Seat"
    assert allowing.name_of(Seat) == name
    assert allowing.resolve(name) is Seat
    assert not registry.knows(Seat)


@pytest.mark.parametrize(
    ("annotation", "found"),
    [(Seat, [Seat]), (list[Seat], [Seat]), (Seat | None, [Seat]), (dict[Seat.Kind, tuple[Seat, ...]], [Seat, Seat.Kind]),
     (int, []), (None, []), ("Seat", [])],
)  # fmt: skip
def test_classes_in_an_annotation(annotation, found):
    """Generics and unions are looked through."""
    assert classes_in(annotation) == found
