"""`pyodide.ffi`: conversions, proxies, and the classes that `isinstance` is asked with. (cooperative)"""

from __future__ import annotations

import sys
from typing import Any, Final

from perdure._base.bigint import BigInt as JsBigInt
from perdure._cloudflare import bridge
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.javascript.promises import JsPromise
from perdure._cloudflare.values import (
    JsArray,
    JsBuffer,
    JsIterator,
    JsMap,
    JsNull,
    JsProxy,
    PyProxy,
    create_once_callable,
    create_proxy,
    destroy_proxies,
    jsnull,
    to_js,
)
from perdure._cloudflare.values import TypedArray as JsTypedArray

__all__ = [
    "IN_PYODIDE",
    "ConversionError",
    "InternalError",
    "JsArray",
    "JsAsyncGenerator",
    "JsAsyncIterable",
    "JsAsyncIterator",
    "JsBigInt",
    "JsBuffer",
    "JsCallable",
    "JsDomElement",
    "JsDoubleProxy",
    "JsException",
    "JsGenerator",
    "JsIterable",
    "JsIterator",
    "JsMap",
    "JsMutableMap",
    "JsNull",
    "JsOnceCallable",
    "JsPromise",
    "JsProxy",
    "JsTypedArray",
    "JsWeakRef",
    "can_run_sync",
    "create_once_callable",
    "create_proxy",
    "destroy_proxies",
    "jsnull",
    "register_js_module",
    "run_sync",
    "to_js",
    "unregister_js_module",
]

IN_PYODIDE: Final = False
"""This is CPython: packages that ask must not take the ways that WebAssembly needs."""

JsMutableMap = JsMap
JsDoubleProxy = PyProxy
JsCallable = PyProxy
JsOnceCallable = type(create_once_callable(print))


class ConversionError(Exception):
    """A value that could not be converted."""


class InternalError(Exception):
    """Pyodide's own failure; there is none here."""


class JsIterable(JsProxy):
    """In annotations; here those are iterables of Python."""


class JsGenerator(JsIterable):
    """In annotations."""


class JsAsyncIterable(JsProxy):
    """In annotations."""


class JsAsyncIterator(JsProxy):
    """In annotations."""


class JsAsyncGenerator(JsAsyncIterable):
    """In annotations."""


class JsDomElement(JsProxy):
    """In annotations: there is no document."""


class JsWeakRef(JsProxy):
    """In annotations."""


def register_js_module(name: str, module: Any) -> None:
    """Let `import name` give *module*."""
    sys.modules[name] = module


def unregister_js_module(name: str) -> None:
    """Let `import name` give it no more."""
    if sys.modules.pop(name, None) is None:
        raise ValueError(f"Cannot unregister {name!r}: no Javascript module with that name is registered")


def __getattr__(name: str) -> Any:
    if name in ("run_sync", "can_run_sync"):
        bridge.turn_on()  # only projects that wait in plain functions pay for a stack for each handler
        return getattr(bridge, name)
    raise AttributeError(f"module 'pyodide.ffi' has no attribute {name!r}: it has {', '.join(__all__)}")
