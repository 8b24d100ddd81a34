"""D1 databases as Cloudflare has them: results are objects, numbers are bound as REAL, blobs come as arrays. (cooperative)

What runs in between is Perdure's own `D1Database`; errors come with the texts that it has from Cloudflare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import perdure
from perdure._cloudflare.convert import native_of, python_from_rpc, python_to_rpc, register_incoming
from perdure._cloudflare.sqlite_values import INTEGER_MAX, number, row_object
from perdure._cloudflare.values import JsArray, JsDict, js_name
from perdure._cloudflare.views import View, begin, call, shown


class D1View(View):
    """A database, or a session of one."""

    _js_name = "D1Database"

    def prepare(self, query: str) -> StatementView:
        """Return a statement, of which nothing has run."""
        statement: StatementView = call(lambda: self._native.prepare(query), StatementView)
        return statement

    def batch(self, statements: Iterable[Any]) -> Any:
        """Run statements as one transaction; await it for an array of their results."""
        return begin(
            lambda: self._native.batch([native_of(one) for one in statements]),
            lambda results: JsArray(map(_result, results)),
        )

    def exec(self, query: str) -> Any:
        """Run the statement of each line; await it for `{count, duration}`."""
        return begin(lambda: self._native.exec(query), lambda done: python_from_rpc(asdict(done)))

    def withSession(self, constraint: Any = None) -> D1SessionView:
        """Return a session, which has bookmarks."""
        return D1SessionView(self._native.with_session(constraint))


class D1SessionView(View):
    """A session of a database."""

    _js_name = "D1DatabaseSession"

    prepare = D1View.prepare
    batch = D1View.batch

    def getBookmark(self) -> str | None:
        """Return the bookmark of what the last query saw; None before the first."""
        bookmark: str | None = self._native.get_bookmark()
        return bookmark


class StatementView(View):
    """A statement, with or without values for its parameters."""

    _js_name = "D1PreparedStatement"

    def bind(self, *values: Any) -> StatementView:
        """Return the same statement with a value for each parameter."""
        bound = [bindable(value) for value in values]
        statement: StatementView = call(lambda: self._native.bind(*bound), StatementView)
        return statement

    def all(self) -> Any:
        """Run it; await it for `{results, success, meta}`."""
        return begin(self._native.all, _result)

    def run(self) -> Any:
        """Run it, the same as `all`."""
        return begin(self._native.run, _result)

    def first(self, column: Any = None) -> Any:
        """Run it; await it for the first row, or its *column*, or None."""
        name = python_to_rpc(column)
        return begin(lambda: self._native.first(name), _first)

    def raw(self, options: Any = None, *, columnNames: bool = False) -> Any:
        """Run it; await it for an array of arrays, with the option `columnNames` those of the columns first."""
        given = {**(options or {}), **({"columnNames": True} if columnNames else {})}
        with_names = bool(given.get("columnNames"))
        return begin(
            lambda: self._native.raw(column_names=with_names),
            lambda rows: JsArray(JsArray(map(_column, row)) for row in rows),
        )


def bindable(value: Any) -> Any:
    """Return what the native statement gets: numbers and booleans are REAL, arrays of bytes and buffers blobs."""
    converted = python_to_rpc(value)
    kind = type(converted)
    if kind is int and abs(converted) > INTEGER_MAX:
        raise _unsupported("bigint", converted)
    if kind is int or kind is bool:
        return float(converted)
    if converted is None or kind in (float, str, bytes):
        return converted
    if kind is list and all(type(item) is int and 0 <= item < 256 for item in converted):
        return bytes(converted)
    if kind is list:
        raise _unsupported("object", ",".join(map(str, converted)))
    raise _unsupported("object", f"[object {'Object' if kind is dict else js_name(converted)}]")


def _unsupported(kind: str, value: Any) -> BaseException:
    return shown(perdure.D1TypeError(f"D1_TYPE_ERROR: Type '{kind}' not supported for value '{value}'"))


def _result(result: perdure.D1Result) -> JsDict:
    return JsDict(
        success=result.success,
        meta=python_from_rpc(asdict(result.meta)),
        results=JsArray(map(_row, result.results)),
    )


def _first(found: Any) -> Any:
    return _row(found) if isinstance(found, dict) else _column(found)


def _row(row: dict[str, Any]) -> JsDict:
    return row_object(row, _column)


def _column(value: Any) -> Any:
    """Return a value of SQLite as it comes through JSON, which knows doubles and arrays."""
    if type(value) is float and not math.isfinite(value):
        return None
    return JsArray(value) if type(value) is bytes else number(value)


register_incoming(perdure.D1Database, D1View)
