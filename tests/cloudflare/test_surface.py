"""The whole surface: each of Cloudflare's names is Perdure's by the rule, is there, and nothing else is."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

import perdure
from perdure._cloudflare import (
    context_view,
    d1_view,
    hooks,
    js,
    kv_view,
    namespace_view,
    sql_view,
    storage_view,
    websocket_view,
    workers,
)
from perdure._cloudflare.names import snake_case
from perdure._cloudflare.values import JsValue
from perdure._cloudflare.web import html_rewriter, html_source
from perdure.object_stub import ServiceStub
from perdure.sql import RawRows

SURFACE = tomllib.loads((Path(__file__).parent / "surface.toml").read_text())
TIERS = ("A", "B", "C")

VIEWS = {
    "D1Database": (d1_view.D1View, perdure.D1Database),
    "D1DatabaseSession": (d1_view.D1SessionView, perdure.D1DatabaseSession),
    "D1PreparedStatement": (d1_view.StatementView, perdure.D1PreparedStatement),
    "DurableObjectId": (namespace_view.IdView, perdure.DurableObjectId),
    "DurableObjectNamespace": (namespace_view.NamespaceView, perdure.Namespace),
    "DurableObjectState": (context_view.StateView, perdure.DurableObjectState),
    "DurableObjectStorage": (storage_view.StorageView, perdure.DurableObjectStorage),
    "DurableObjectStub": (namespace_view.ObjectStubView, perdure.DurableObjectStub),
    "DurableObjectTransaction": (storage_view.TransactionView, perdure.DurableObjectTransaction),
    "ExecutionContext": (context_view.ExecutionContextView, perdure.ExecutionContext),
    "Fetcher": (namespace_view.StubView, ServiceStub),
    "KvNamespace": (kv_view.KvView, perdure.KvNamespace),
    "ScheduledController": (context_view.ScheduledView, perdure.ScheduledController),
    "SqlStorage": (sql_view.SqlView, perdure.SqlStorage),
    "SqlStorageCursor": (sql_view.CursorView, perdure.SqlCursor),
    "SqlStorageRawIterator": (sql_view.RawView, RawRows),
    "SyncKvStorage": (storage_view.SyncKvView, perdure.SyncKvStorage),
    "WebSocket": (websocket_view.WebSocketView, perdure.WebSocket),
    "WebSocketRequestResponsePair": (
        websocket_view.WebSocketRequestResponsePair,
        perdure.WebSocketRequestResponsePair,
    ),
}
"""Class of Cloudflare's → what projects hold, and the native class behind it."""

WEB = {
    "HtmlComment": html_rewriter.Comment(""),
    "HtmlElement": html_rewriter.Element(html_source.Place("p", {}, None)),
    "HtmlText": html_rewriter.Text(""),
    "js.AbortController": js.AbortController(),
    "js.AbortSignal": js.AbortSignal(),
    "js.Blob": js.Blob([]),
    "js.Cache": js.Cache(),
    "js.CacheStorage": js.CacheStorage(),
    "js.File": js.File([], "f"),
    "js.FormData": js.FormData(),
    "js.HTMLRewriter": js.HTMLRewriter(),
    "js.Headers": js.Headers(),
    "js.ReadableStream": js.ReadableStream(),
    "js.ReadableStreamBYOBReader": js.ReadableStreamBYOBReader(js.ReadableStream()),
    "js.ReadableStreamDefaultReader": js.ReadableStreamDefaultReader(js.ReadableStream()),
    "js.Request": js.Request("http://x/"),
    "js.Response": js.Response(),
    "js.TextDecoder": js.TextDecoder(),
    "js.TextEncoder": js.TextEncoder(),
    "js.TransformStream": js.TransformStream(),
    "js.URL": js.URL("http://x/"),
    "js.URLSearchParams": js.URLSearchParams(),
    "js.WritableStream": js.WritableStream(),
    "js.WritableStreamDefaultWriter": js.WritableStreamDefaultWriter(js.WritableStream()),
    "workers.Blob": workers.Blob(""),
    "workers.File": workers.File("", "f"),
    "workers.FormData": workers.FormData(),
    "workers.Request": workers.Request("http://x/"),
    "workers.Response": workers.Response(),
}
"""Class of the web → an instance."""

NO_NATIVE_MEMBER = {
    "DurableObjectStub": {"id", "name"},  # of the instance
    "ExecutionContext": {"passThroughOnException", "exports", "props"},
    "DurableObjectId": {"name"},
    "ScheduledController": {"cron", "scheduledTime"},
    "SqlStorageCursor": {"next"},  # `__next__`
    "SqlStorageRawIterator": {"next"},
    "WebSocket": {
        "binaryType",
        *("onopen onmessage onclose onerror".split()),
        *(f"READY_STATE_{state}" for state in ("CONNECTING", "OPEN", "CLOSING", "CLOSED")),
    },
}
"""Members that are the view's own, or are made in each instance."""


def members(name: str) -> list[str]:
    """Return the members of a class of the surface that are to be there."""
    table = SURFACE[name]
    listed = " ".join(table.get(tier, "") for tier in TIERS).split()
    assert len(listed) == len(set(listed)), f"{name} has a member twice"
    notes = {*table.get("absent", {}), *table.get("differs", {})}
    assert notes <= set(listed), f"{name} has notes on members that it has not: {notes - set(listed)}"
    return [member for member in listed if member not in table.get("absent", {})]


@pytest.mark.parametrize("name", SURFACE)
def test_a_table_has_tiers_and_notes_alone(name):
    """Nothing of the file is misspelt."""
    assert set(SURFACE[name]) <= {*TIERS, "absent", "differs"}
    assert members(name)


@pytest.mark.parametrize("name", VIEWS)
def test_every_name_becomes_one_of_perdures_by_the_rule(name):
    """camelCase is derived: each member of a view is a member of its native object in snake_case."""
    _, native = VIEWS[name]
    own = NO_NATIVE_MEMBER.get(name, set())
    known = {*dir(native), *getattr(native, "__slots__", ()), *getattr(native, "__annotations__", {})}
    missing = [
        member
        for member in members(name)
        if member not in own and not {snake_case(member), snake_case(member).upper()} & known
    ]
    assert not missing


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_the_surface_and_nothing_else(name):
    """What a view has is listed, what is listed it has."""
    view, _ = VIEWS[name]
    assert set(view._names()) == set(members(name))


@pytest.mark.parametrize("name", WEB)
def test_a_class_of_the_web_has_the_surface_and_nothing_else(name):
    """What an instance has is listed, what is listed it has; the members of every value are not its own."""
    public = {each for each in dir(WEB[name]) if not each.startswith("_")}
    assert public - set(dir(JsValue)) == set(members(name))


@pytest.mark.parametrize("name", ["asgi", "workers.wsgi", "workers.gateway", "pyodide.http"])
def test_a_module_has_the_surface_and_nothing_else(name):
    """What it is listed to have is what `from … import *` gives."""
    module = importlib.import_module(hooks.home_of(name))
    assert set(module.__all__) == set(members(name))


@pytest.mark.parametrize(
    "name", [n for n in SURFACE if n.partition(".")[0] in ("js", "pyodide") and n not in WEB]
)
def test_what_js_and_pyodide_have_is_the_surface(name):
    """The module, or the object of it, has what is listed; the module `js` has nothing else."""
    module, *path = name.split(".")
    try:
        found = importlib.import_module(f"perdure._cloudflare.{name}")
    except ModuleNotFoundError:
        found = importlib.import_module(f"perdure._cloudflare.{module}")
        for step in path:
            found = getattr(found, step)
    missing = [member for member in members(name) if not hasattr(found, member)]
    assert not missing
    if name == "js":
        assert set(dir(found)) == set(members(name))


def test_native_objects_have_no_name_of_cloudflares():
    """Perdure's own API has one spelling."""
    for name, (_, native) in VIEWS.items():
        for member in members(name):
            if member != snake_case(member) and not member.isupper():
                assert not hasattr(native, member), f"{native.__name__}.{member}"


@pytest.mark.parametrize(
    ("cloudflares", "ours"),
    [
        ("idFromName", "id_from_name"),
        ("getByName", "get_by_name"),
        ("setWebSocketAutoResponse", "set_websocket_auto_response"),
        ("webSocketMessage", "websocket_message"),
        ("getWebSockets", "get_websockets"),
        ("toArray", "to_list"),
        ("locationHint", "location_hint"),
        ("exec", "exec"),
    ],
)
def test_the_rule(cloudflares, ours):
    """Words are parted by capitals; WebSocket is one word."""
    assert snake_case(cloudflares) == ours
