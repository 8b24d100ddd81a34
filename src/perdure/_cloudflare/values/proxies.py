"""`create_proxy` and its like: functions that are passed to JavaScript. Here they are only called. (pure)"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from perdure._cloudflare.values.base import JsValue


class PyProxy(JsValue):
    """A Python value as JavaScript holds it; it is used as the value itself."""

    _js_name = "PyProxy"

    def __init__(self, value: Any) -> None:
        self.__dict__["_value"] = value

    @property
    def typeof(self) -> str:
        """What JavaScript's `typeof` says."""
        return "function" if callable(self._value) else "object"

    @property
    def __wrapped__(self) -> Any:
        return self._value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._value(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_value":  # a copier has made this one, and not filled it yet
            raise AttributeError(name)
        return getattr(self._value, name)

    def __getitem__(self, key: Any) -> Any:
        return self._value[key]

    def __iter__(self) -> Any:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True

    def unwrap(self) -> Any:
        return self._value

    def copy(self) -> PyProxy:
        return self

    def destroy(self) -> None:
        """Nothing has to be given back here."""

    def __repr__(self) -> str:
        return f"PyProxy({self._value!r})"


class _Later(PyProxy):
    """An awaitable as JavaScript holds it: `ctx.waitUntil(create_proxy(work()))`."""

    def __await__(self) -> Any:
        return self._value.__await__()


class OnceCallable(PyProxy):
    """A function that is gone after its first call."""

    _js_name = "PyProxy"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self._value
        self.destroy()
        return function(*args, **kwargs)

    def destroy(self) -> None:
        self.__dict__["_value"] = _destroyed


def _destroyed(*args: Any, **kwargs: Any) -> Any:
    from perdure._cloudflare.exceptions import js_error  # it builds on these values

    raise js_error(
        "Error", "Object has already been destroyed: what create_once_callable() returned can be called once."
    )


def create_proxy(obj: Any, /, *, capture_this: bool = False, roundtrip: bool = True) -> PyProxy:
    """Return *obj* as JavaScript would hold it; it needs no `destroy()` here, and has one."""
    if isinstance(obj, PyProxy):
        return obj
    return _Later(obj) if inspect.isawaitable(obj) else PyProxy(obj)


def create_once_callable(obj: Callable[..., Any], /, *, _may_syncify: bool = False) -> OnceCallable:
    """Return *obj* as a function that can be called once."""
    return OnceCallable(obj)


def destroy_proxies(proxies: Iterable[Any], /) -> None:
    """Destroy each of *proxies*."""
    for proxy in proxies:
        proxy.destroy()


def unproxied(value: Any) -> Any:
    """Return what Python code put into a proxy, *value* itself if it is none."""
    return value.unwrap() if isinstance(value, PyProxy) else value
