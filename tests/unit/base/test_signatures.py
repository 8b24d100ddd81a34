"""What annotations ask of arguments and results."""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import datetime
import enum
import functools
import gc
import inspect
import typing
import uuid
import weakref
from typing import Annotated, Any, Generic, Literal, NewType, Protocol, TypeVar

import msgspec
import pydantic
import pytest

from perdure._base.signatures import signature_of, signature_of_member
from perdure.errors import RemoteError

if typing.TYPE_CHECKING:
    from nowhere import Nothing


@dataclasses.dataclass
class Seat:
    row: str
    number: int = 1


@dataclasses.dataclass
class Balcony(Seat):
    pass


class Point(msgspec.Struct):
    x: int


class User(pydantic.BaseModel):
    name: str


class Colour(enum.Enum):
    RED = "r"


class Pair(typing.NamedTuple):
    left: int
    right: str


class Options(typing.TypedDict):
    size: int


class Named(Protocol):
    name: str


class Plain:
    pass


class Failure(Exception):
    pass


T = TypeVar("T")


@dataclasses.dataclass
class Box(Generic[T]):
    inside: T


@dataclasses.dataclass
class Unfinished:
    part: Nothing


UserId = NewType("UserId", int)
Positive = Annotated[int, msgspec.Meta(gt=0)]
SEAT, POINT, USER = Seat("A"), Point(1), User(name="u")
UUID = uuid.UUID("c7955d5e-8a16-4388-a830-fdf9cdbf4aff")


def asking(annotation, **more):
    """A function whose parameter `a` is annotated so."""

    def f(a):
        return a

    f.__annotations__ = {"a": annotation, **more}
    return f


def fitted(annotation, value):
    signature = signature_of(asking(annotation))
    return value if signature is None else signature.fit((value,), {})[0][0]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 1), (str, "x"), (bytes, b"x"), (float, 1.5), (bool, True), (None, None), (dict, {"a": 1}), (list, [1]),
        (Seat, SEAT), (Seat, Balcony("A")), (Point, POINT), (User, USER), (Colour, Colour.RED), (Pair, Pair(1, "x")),
        (uuid.UUID, UUID), (Seat | None, SEAT), (Seat | None, None), (UserId, 5), (Positive, 5), (Literal["a"], "a"),
        (Box[int], Box(1)), (list[Any], [object()]), (tuple[Any, ...], (1,)),
        (list[Seat], [Balcony("A")]), (dict[str, Seat], {"a": Balcony("A")}), (tuple[Seat, int], (Balcony("A"), 1)),
        ("Seat", SEAT), ("list[Seat] | None", None), (Unfinished, Unfinished(1)), (Annotated[Seat, "words"], SEAT),
    ],
)  # fmt: skip
def test_what_fits_passes_as_it_is(annotation, value):
    """No copy is made of what is what the annotation asks for; of a subclass, too."""
    assert fitted(annotation, value) is value


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, 1, 1.0),
        (Seat, {"row": "A"}, Seat("A", 1)),
        (Seat | None, {"row": "A"}, Seat("A", 1)),
        (list[Seat], [{"row": "A"}, SEAT], [Seat("A"), SEAT]),
        (dict[str, Point], {"p": {"x": 1}}, {"p": Point(1)}),
        (Box[Seat], {"inside": {"row": "A"}}, Box(Seat("A"))),
        (User, {"name": "u"}, USER),
        (Seat | User, {"name": "u"}, USER),
        (Colour, "r", Colour.RED),
        (Pair, [1, "x"], Pair(1, "x")),
        (uuid.UUID, str(UUID), UUID),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (datetime.timedelta, "PT5S", datetime.timedelta(seconds=5)),
        (set[int], [1, 2], {1, 2}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (collections.abc.Mapping[str, float], {"a": 1}, {"a": 1.0}),
        (Options, {"size": 1}, {"size": 1}),
        ("list[Seat]", [{"row": "A"}], [Seat("A")]),
    ],
)  # fmt: skip
def test_what_json_says_otherwise_is_converted(annotation, value, expected):
    """A dict becomes the instance, a text the member, the UUID or the date, a list the set, an int the float."""
    new = fitted(annotation, value)
    assert (type(new), new) == (type(expected), expected)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, "1", "argument a (a value of type str) does not fit int: Expected `int`, got `str`."),
        (int, True, "Expected `int`, got `bool`"),
        (float, True, "Expected `float`, got `bool`"),
        (int, 1.5, "Expected `int`, got `float`"),
        (str, 1, "Expected `str`, got `int`"),
        (str, b"x", "Expected `str`, got `bytes`"),
        (bytes, "YWJj", "Expected `bytes`, got `str`"),
        (list[bytes], ["YWJj"], "Expected `bytes`, got `str` at a[0]"),
        (None, 1, "Expected `None`, got `int`"),
        (int, None, "Expected `int`, got `None`"),
        (dict, [1], "Expected `dict`, got `list`"),
        (
            Seat,
            {"row": 1},
            "argument a (a value of type dict) does not fit Seat: Expected `str`, got `int` at a.row.",
        ),
        (Seat, {}, "does not fit Seat: Object missing required field `row`."),
        (Seat, POINT, "argument a (a value of type Point) does not fit Seat"),
        (list[Seat], [{"row": "A"}, 5], "Expected `dict`, got `int` at a[1]"),
        (list[Seat], [POINT], "at a[0]"),
        (tuple[Seat, int], (Balcony("A"),), "Expected `list` of length 2"),
        (dict[str, list[int]], {"k": [1, "x"]}, "Expected `int`, got `str`"),
        (Positive, 0, "Expected `int` >= 1"),
        (Literal["a", "b"], "c", "Invalid enum value 'c'"),
        (Colour, "green", "Invalid enum value 'green'"),
        (uuid.UUID, "x", "Invalid UUID"),
        (Options, {}, "missing required field `size`"),
        (User, {"name": 1}, "Input should be a valid string"),
        (int | str, [], "Expected `int | str`, got `list`"),
        (UserId, "x", "Expected `int`, got `str`"),
    ],
)
def test_what_does_not_fit_is_a_type_error(annotation, value, text):
    """It names function and parameter, what was asked, what was found and where."""
    with pytest.raises(TypeError) as caught:
        fitted(annotation, value)
    assert type(caught.value) is TypeError
    assert str(caught.value).startswith("asking.<locals>.f() argument a (a value of type ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "annotation",
    [
        Any, object, T, Named, Plain, Plain | None, Failure, collections.abc.Callable[[int], None], type[int], "Nothing", "1 +",
        "Nothing | None", collections.abc.AsyncIterator[int], typing.Self, 5, Unfinished, collections.abc.Iterable[int],
    ],
)  # fmt: skip
def test_an_annotation_of_which_nothing_is_known_asks_for_nothing(annotation):
    """A protocol, a type variable, a callback, a class that does not travel, a name that is not there."""
    assert signature_of(asking(annotation)) is None


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(list[Plain], [5]), (dict[str, Named], {"a": 5}), (tuple[T, ...], (5,)), (Box[T], Box(5))],
)
def test_nor_does_one_inside_a_container(annotation, value):
    """The container is checked, what is unknown in it is not."""
    assert fitted(annotation, value) == value
    with pytest.raises(TypeError):
        fitted(annotation, 5)


def test_only_what_is_annotated_is_looked_at():
    """Parameters without an annotation take anything."""

    def f(a, b: int, c=None):
        pass

    assert signature_of(f).fit(("x", 1, object), {})[0] == ("x", 1, object)
    with pytest.raises(TypeError, match=r"f\(\) argument b "):
        signature_of(f).fit(("x", "y"), {})


def test_arguments_by_name_are_looked_at():
    """By the parameter of that name, whatever their order."""

    def f(a: int, *, seat: Seat):
        pass

    assert signature_of(f).fit((), {"seat": {"row": "A"}, "a": 1}) == ((), {"seat": Seat("A"), "a": 1})
    with pytest.raises(TypeError, match=r"f\(\) argument seat "):
        signature_of(f).fit((1,), {"seat": 5})


def test_further_arguments_are_looked_at():
    """Each of `*args: float` and of `**kwargs: float`."""

    def f(a: str, *rest: float, **named: float):
        pass

    assert signature_of(f).fit(("x", 1, 2), {"b": 3}) == (("x", 1.0, 2.0), {"b": 3.0})
    with pytest.raises(TypeError, match=r"argument rest "):
        signature_of(f).fit(("x", 1, "y"), {})
    with pytest.raises(TypeError, match=r"argument named "):
        signature_of(f).fit(("x",), {"b": "y"})


def test_missing_surplus_and_unknown_arguments_are_left_to_python():
    """The call itself tells of them, in Python's words."""

    def f(a: int, /, b: int = 1):
        pass

    for args, kwargs in (((), {}), ((1, 2, "x"), {}), ((1,), {"c": "x"}), ((1,), {"a": "x"})):
        assert signature_of(f).fit(args, dict(kwargs)) == (args, kwargs)


def test_a_default_of_none_allows_none():
    """`by: int = None` takes None, though type checkers do not like it."""

    def f(by: int = None, seat: Annotated[int, msgspec.Meta(ge=1)] = None):
        pass

    assert signature_of(f).fit((None, None), {})[0] == (None, None)
    with pytest.raises(TypeError):
        signature_of(f).fit(("x",), {})


class Room:
    async def say(self, text: str) -> int: ...

    @staticmethod
    def static(a: int): ...

    @classmethod
    def made(cls, a: int): ...

    @property
    def size(self) -> float: ...

    @functools.cached_property
    def kept(self) -> float: ...

    def list(self, names: list[str]) -> Kind: ...

    class Kind(enum.Enum):
        A = "a"

    plain = 5


class Hall(Room):
    async def say(self, text): ...


@pytest.mark.parametrize("name", ["say", "static", "made"])
def test_a_method_is_asked_without_self(name):
    """The instance, or the class, is no argument; errors call it by class and name."""
    with pytest.raises(TypeError, match=rf"Room.{name}\(\) argument \w+ \(a value of type dict\)"):
        signature_of_member(Room, name).fit(({},), {})


def test_an_overriding_method_counts():
    """Without annotations it takes anything."""
    assert signature_of_member(Hall, "say") is None
    assert signature_of_member(Hall, "static") is not None


def test_names_of_the_class_are_known_last():
    """A method `list` does not hide the built-in, and a class inside the class is found."""
    signature = signature_of_member(Room, "list")
    assert signature.fit((["a"],), {})[0] == (["a"],)
    assert signature.fit_result("a") is Room.Kind.A


@pytest.mark.parametrize("name", ["plain", "missing", "__init__"])
def test_what_is_no_function_asks_for_nothing(name):
    assert signature_of_member(Room, name) is None


@pytest.mark.parametrize("function", [len, functools.partial(len), Room(), Room])
def test_what_does_not_tell_its_parameters_asks_for_nothing(function):
    assert signature_of(function) is None


def test_a_bound_method_is_asked_as_a_method():
    with pytest.raises(TypeError, match=r"Room.say\(\) argument text"):
        signature_of(Room().say).fit((1,), {})


def test_a_signature_that_was_set_counts_where_nothing_is_annotated():
    def add(*args):
        return sum(args)

    add.__signature__ = inspect.Signature(
        [inspect.Parameter("n", inspect.Parameter.POSITIONAL_ONLY, annotation=int)]
    )
    asked = signature_of(add)
    assert asked is not None
    with pytest.raises(TypeError, match="n"):
        asked.fit(("one",), {})


def test_a_wrapper_has_the_signature_of_what_it_wraps():
    """As `functools.wraps` says; `__signature__` says otherwise."""

    def f(a: int): ...

    @functools.wraps(f)
    def wrapper(*args, **kwargs): ...

    with pytest.raises(TypeError, match="argument a"):
        signature_of(wrapper).fit(("x",), {})

    @functools.wraps(f)
    def other(*args): ...

    del other.__wrapped__, other.__annotations__
    assert signature_of(other) is None


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 1, 1), (float, 1, 1.0), (Seat, {"row": "A"}, Seat("A")), (list[Seat], [SEAT], [SEAT]), (None, None, None),
        (collections.abc.Awaitable[float], 1, 1.0), (collections.abc.Coroutine[Any, Any, float], 1, 1.0),
        (asyncio.Future[float], 1, 1.0), (Any, "x", "x"), (collections.abc.AsyncIterator[int], "x", "x"),
    ],
)  # fmt: skip
def test_a_result_is_converted_by_its_annotation(annotation, value, expected):
    """That of an awaitable by what is awaited."""
    signature = signature_of(asking(int, **{"return": annotation}))
    new = signature.fit_result(value)
    assert (type(new), new) == (type(expected), expected)


def test_a_property_has_a_result():
    assert signature_of_member(Room, "size").fit_result(1) == 1.0
    assert signature_of_member(Room, "kept").fit_result(1) == 1.0


def test_a_result_that_does_not_fit_is_an_error_that_names_the_method():
    with pytest.raises(TypeError) as caught:
        signature_of_member(Room, "say").fit_result("x")
    assert str(caught.value) == (
        "Room.say() returned what its annotation does not allow: "
        "result (a value of type str) does not fit int: Expected `int`, got `str`."
    )


def test_an_exception_is_not_looked_at():
    """One that the other side does not know arrives as a `RemoteError`."""
    error = RemoteError("x")
    assert fitted(list[Failure], [error]) == [error]


def test_the_signature_of_a_callback_goes_with_it():
    """What is remembered of a function holds neither it nor what it closes over."""
    function = asking(int)
    signature_of(function)
    assert signature_of(function) is signature_of(function)
    gone = weakref.ref(function)
    del function
    gc.collect()
    assert gone() is None


def test_the_same_tuple_passes_when_all_fits():
    """Nothing is made for arguments that fit."""

    def f(a: int, b: str): ...

    args, kwargs = (1, "x"), {}
    assert signature_of(f).fit(args, kwargs)[0] is args
