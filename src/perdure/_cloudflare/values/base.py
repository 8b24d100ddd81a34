"""What all values of JavaScript share: that they are told apart, their name, and `null`. (pure)"""

from __future__ import annotations

from keyword import iskeyword
from typing import Any, Final


class JsProxy:
    """What code tests for with `isinstance(value, JsProxy)`; there are no proxies here, only values."""

    __slots__ = ()


class JsValue(JsProxy):
    """What Pyodide gives every JavaScript value in Python."""

    __slots__ = ()

    @property
    def js_id(self) -> int:
        """A number that is this value's alone."""
        return id(self)

    @property
    def typeof(self) -> str:
        """What JavaScript's `typeof` says."""
        return "function" if callable(self) else "object"

    @property
    def constructor(self) -> Constructor:
        """Its class, of which `.name` is asked."""
        return Constructor(js_name(self))

    def to_py(self, **options: Any) -> Any:
        """Return it as a value of Python's own."""
        from perdure._cloudflare.values.conversion import to_py  # it builds on this module

        return to_py(self, **options)

    def destroy(self) -> None:
        """Nothing has to be given back here."""


class JsBuffer(JsValue):
    """Bytes in any of JavaScript's shapes."""

    __slots__ = ()


class Constructor:
    """The class of a value: `value.constructor.name`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return getattr(other, "name", None) == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"[Function: {self.name}]"


def js_name(value: object) -> str:
    """Return the name that JavaScript has for the class of *value*."""
    cls = type(value)
    return str(getattr(cls, "_js_name", cls.__name__))


class JsNull:
    """JavaScript's null; at every boundary it becomes None."""

    _made: JsNull | None = None

    def __new__(cls) -> JsNull:
        if cls._made is None:
            cls._made = object.__new__(cls)
        return cls._made

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "jsnull"

    def __repr__(self) -> str:
        return "jsnull"

    @property
    def typeof(self) -> str:
        return "object"


jsnull: Final = JsNull()
undefined: Final = None
"""As in Pyodide, where JavaScript's undefined is Python's None."""


class JsClass(type):
    """
    Metaclass of what `js` has as classes: instances are made by `Blob.new(...)`, or by a call.

    Keyword arguments of `new` are JavaScript's trailing object of options. A name that Python has reserved, as
    `from`, ends with an underscore (`Array.from_`), as in Pyodide; `getattr(Array, "from")` finds it, too.
    """

    def new(cls, *args: Any, **options: Any) -> Any:
        return cls(*args, **options)

    @property
    def name(cls) -> str:
        return str(getattr(cls, "_js_name", cls.__name__))

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if iskeyword(name):
            return getattr(cls, name + "_")
        raise AttributeError(f"js.{cls.name} has no {name!r}: it has {', '.join(public_names(cls))}")

    def __repr__(cls) -> str:
        return f"[Function: {cls.name}]"


def public_names(value: Any) -> list[str]:
    """Return the names of *value* that are for its users."""
    return sorted(name for name in dir(value) if not name.startswith("_"))
