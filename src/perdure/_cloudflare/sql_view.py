"""`ctx.storage.sql` as Cloudflare has it: numbers are bound as REAL, rows are objects. (cooperative)"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from perdure._cloudflare.convert import python_to_rpc
from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.sqlite_values import INTEGER_MAX, number, row_object
from perdure._cloudflare.values import JsArray, JsDict
from perdure._cloudflare.views import Value, View, call, shown

_NO_BIGINT: Final = (
    "Cannot convert a BigInt value to a number: parameter {at} is {value}, and numbers are exact to 2**53 - 1 on "
    "Cloudflare. Bind it as str(value)."
)
_NO_BINDING: Final = (
    "exec(): parameter {at} is of type {kind}, which SQLite cannot store. Bind str, int, float, bytes, bool or None; "
    "anything else as json.dumps(value), and a time as value.isoformat()."
)


class SqlView(View):
    """`ctx.storage.sql`."""

    _js_name = "SqlStorage"
    _members = {"databaseSize": Value()}

    def exec(self, query: str, *bindings: Any) -> CursorView:
        """Run *query*, and return the cursor of its last statement."""
        bound = [bindable(value, at) for at, value in enumerate(bindings, 1)]
        cursor: CursorView = call(lambda: self._native.exec(query, *bound), CursorView)
        return cursor


def bindable(value: Any, at: int) -> Any:
    """Return what SQLite is given for *value*, parameter number *at*: every number is a REAL, a bool is a text."""
    value = python_to_rpc(value)
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        if abs(value) > INTEGER_MAX:
            raise js_error("TypeError", _NO_BIGINT.format(at=at, value=value))
        return float(value)
    if value is None or kind is str or kind is float or kind is bytes:
        return value
    raise js_error("TypeError", _NO_BINDING.format(at=at, kind=kind.__name__))


class _RowsView(View):
    """Rows that are read one by one, with `next()` and `toArray()`."""

    @staticmethod
    @abstractmethod
    def _shown(row: Any) -> Any:
        """Return a row of the native cursor as this one gives it."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            row = next(self._native)
        except StopIteration:
            raise
        except Exception as error:
            raise shown(error) from error.__cause__
        return self._shown(row)

    def next(self) -> JsDict:
        """Return the next row as `{done, value}`."""
        for row in self:
            return JsDict(done=False, value=row)
        return JsDict(done=True, value=None)

    def toArray(self) -> JsArray:
        """Return the remaining rows."""
        return JsArray(self)


class CursorView(_RowsView):
    """The rows of one `exec`, each with its columns as items and as attributes."""

    _js_name = "SqlStorageCursor"
    _members = {"columnNames": Value(JsArray), "rowsRead": Value(), "rowsWritten": Value()}

    def one(self) -> JsDict:
        """Return the only remaining row."""
        row: JsDict = call(self._native.one, self._shown)
        return row

    def raw(self) -> RawView:
        """Return an iterator of rows as lists, which shares this cursor's position."""
        return RawView(self._native.raw())

    _shown = staticmethod(lambda row: row_object(row, column))


class RawView(_RowsView):
    """Rows as lists, in the order of the columns."""

    _js_name = "SqlStorageRawIterator"
    _shown = staticmethod(lambda row: JsArray(map(column, row)))


def column(value: Any) -> Any:
    """Return a value of SQLite as Cloudflare gives it to Python."""
    return memoryview(value) if type(value) is bytes else number(value)
