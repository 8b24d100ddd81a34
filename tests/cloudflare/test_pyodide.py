"""The module `pyodide`: what Cloudflare projects import of it."""

from __future__ import annotations

import sys
import types

import pytest

from perdure._cloudflare import bridge, js, pyodide
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.pyodide import code, ffi, webloop
from perdure._cloudflare.pyodide.ffi import wrappers


@pytest.mark.members("pyodide.__version__")
def test_the_version_has_three_numbers():
    assert len([int(part) for part in pyodide.__version__.split(".")]) == 3


@pytest.mark.members(
    "pyodide.ffi.JsProxy", "pyodide.ffi.JsArray", "pyodide.ffi.JsBuffer", "pyodide.ffi.JsException", "pyodide.ffi.JsNull",
    "pyodide.ffi.jsnull", "pyodide.ffi.JsBigInt", "pyodide.ffi.JsMap", "pyodide.ffi.JsTypedArray",
)  # fmt: skip
def test_values_are_instances_of_the_classes_that_isinstance_is_asked_with():
    assert isinstance(ffi.to_js([1]), ffi.JsArray)
    assert isinstance(ffi.to_js({}), ffi.JsMap)
    assert isinstance(js.Uint8Array.new(1), ffi.JsTypedArray)
    assert isinstance(ffi.to_js(b""), ffi.JsBuffer)
    assert isinstance(js.BigInt(5), ffi.JsBigInt)
    assert isinstance(ffi.jsnull, ffi.JsNull)
    assert isinstance(js.Error.new("x"), ffi.JsException)
    for value in (
        ffi.to_js([1]),
        ffi.to_js(b""),
        js.Object.new(),
        js.Date.new(0),
        js.Error.new("x"),
        js.URL.new("http://a"),
    ):
        assert isinstance(value, ffi.JsProxy)
    for value in (1, "a", None, [1], {}, b""):
        assert not isinstance(value, ffi.JsProxy)


def test_every_name_of_ffi_is_there():
    for name in ffi.__all__:
        assert getattr(ffi, name) is not None
    with pytest.raises(AttributeError, match="'pyodide.ffi' has no attribute 'to_jss': it has .*to_js"):
        _ = ffi.to_jss


@pytest.mark.members("pyodide.ffi.run_sync", "pyodide.ffi.can_run_sync")
async def test_handlers_can_wait_once_run_sync_is_imported():
    bridge.turn_off()
    try:
        run_sync = ffi.run_sync
        assert await bridge.run(lambda: (ffi.can_run_sync(), run_sync(js.Promise.resolve(5)))) == (True, 5)
    finally:
        bridge.turn_off()


@pytest.mark.members(
    "pyodide.ffi.register_js_module", "pyodide.ffi.IN_PYODIDE", "pyodide.ffi.unregister_js_module"
)
def test_a_module_of_javascript_is_registered_under_a_name():
    ffi.register_js_module("my_js_module", types.SimpleNamespace(answer=42))
    try:
        from my_js_module import answer  # type: ignore[import-not-found]

        assert answer == 42
    finally:
        ffi.unregister_js_module("my_js_module")
    assert "my_js_module" not in sys.modules
    with pytest.raises(ValueError, match="no Javascript module with that name"):
        ffi.unregister_js_module("my_js_module")
    assert not ffi.IN_PYODIDE


@pytest.mark.members("pyodide.code.relaxed_call", "pyodide.code.run_js", "pyodide.code.relaxed_wrap")
def test_code_has_relaxed_calls_and_no_javascript():
    assert code.relaxed_call(lambda a: a, 1, 2) == 1
    assert code.relaxed_wrap(lambda a: a)(1, 2) == 1
    with pytest.raises(JsException, match="EvalError"):
        code.run_js("1 + 1")


@pytest.mark.members("pyodide.webloop.WebLoop")
def test_the_names_of_webloop_are_there():
    assert hasattr(webloop.WebLoop, "run_forever")
    assert webloop.PyodideFuture is not None


def test_wrappers_add_and_remove_listeners():
    seen = []
    target = js.EventTarget.new()
    wrappers.add_event_listener(target, "x", seen.append)
    target.dispatchEvent(js.Event.new("x"))
    wrappers.remove_event_listener(target, "x", seen.append)
    target.dispatchEvent(js.Event.new("x"))
    assert len(seen) == 1
