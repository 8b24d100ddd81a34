"""D1Database: a SQL database without an object of one's own, as a binding of `env`. (cooperative)

Source: Cloudflare's D1, whose shapes of results, texts of errors and rules of transactions these are. One durable object of
Perdure's own keeps it (`_resources/d1.py`): statements come one after the other, and each reads what was written before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from perdure._base.refusal import stays
from perdure._resources.d1 import NO_STATEMENTS, Answer, D1Meta
from perdure._storage.cursor import NO_TRANSACTION_SQL
from perdure.errors import D1Error, D1TypeError, SqlError
from perdure.sql import Row

if TYPE_CHECKING:
    from perdure._resources.d1 import D1Keeper
    from perdure.namespace import Namespace

_NO_TRANSACTION: Final = (
    "To execute a transaction, please use batch() instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements: "
    "all statements of a batch happen, or none."
)
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class D1Result:
    """
    The rows of one statement; iterate over it, or over `results`.

    Attributes:
        results: the rows, empty for a statement without any.
        meta: what is told of the run.
        success: true: what fails raises `D1Error`.
    """

    results: list[Row]
    meta: D1Meta
    success: bool = True

    def __iter__(self) -> Iterator[Row]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)


@dataclass(frozen=True, slots=True)
class D1ExecResult:
    """
    What `exec` did.

    Attributes:
        count: how many statements ran.
        duration: how long they took, in milliseconds.
    """

    count: int
    duration: float


class D1PreparedStatement:
    """A statement, with the values of its parameters; nothing has run, and it can run more than once."""

    __slots__ = ("_bindings", "_database", "_query")
    __perdure_cross__ = stays

    def __init__(self, database: _Database, query: str, bindings: tuple[Any, ...] = ()) -> None:
        self._database = database
        self._query = query
        self._bindings = bindings

    def bind(self, *values: Any) -> D1PreparedStatement:
        """
        Return the same statement with a value for each parameter: `?` in order, `?1` by number.

        Args:
            values: str, int (64 bits), float, bytes, bool (0 or 1), None.

        Raises:
            D1TypeError: a value of another type.
        """
        return D1PreparedStatement(self._database, self._query, tuple([_bound(value) for value in values]))

    async def all(self) -> D1Result:
        """Run the statement; return its rows, and what is told of the run."""
        return _result(await self._run(with_meta=True))

    async def run(self) -> D1Result:
        """Run the statement, the same as `all`."""
        return await self.all()

    async def first(self, column: str | None = None) -> Any:
        """
        Return the first row, or its *column*; None if there is no row.

        Raises:
            D1Error: the row has no such column (`D1_COLUMN_NOTFOUND`), or what SQLite said.
        """
        answer = await self._run(with_meta=False)
        if not answer.rows:
            return None
        row = Row(zip(answer.columns, answer.rows[0], strict=True))
        if column is None:
            return row
        if column not in row:
            raise D1Error(f"D1_COLUMN_NOTFOUND: Column not found ({column})")
        return row[column]

    async def raw(self, *, column_names: bool = False) -> list[tuple[Any, ...]]:
        """
        Return the rows as tuples in the order of columns, of which two may have the same name.

        Args:
            column_names: begin with a tuple of the columns' names.
        """
        answer = await self._run(with_meta=False)
        return [tuple(answer.columns), *answer.rows] if column_names else answer.rows

    async def _run(self, *, with_meta: bool) -> Answer:
        return await self._database._query(self._query, self._bindings, with_meta)

    def __repr__(self) -> str:
        return f"<D1PreparedStatement {self._query!r}>"  # no values: they may be secrets


class _Database:
    """What a database and a session of it have."""

    __slots__ = ("_id", "_keepers")
    __perdure_cross__ = stays

    def __init__(self, keepers: Namespace[D1Keeper], id: str) -> None:
        self._keepers = keepers
        self._id = id

    def prepare(self, query: str) -> D1PreparedStatement:
        """Return *query* as a statement to bind values to, and to run. Nothing is looked at before it runs."""
        if not isinstance(query, str):
            raise D1TypeError(f"D1_TYPE_ERROR: prepare() takes SQL as a str; got {type(query).__name__}.")
        return D1PreparedStatement(self, _text(query))

    async def batch(self, statements: Iterable[D1PreparedStatement]) -> list[D1Result]:
        """
        Run *statements* in order as one transaction: all of them happen, or none.

        Raises:
            D1Error: what SQLite said of the one that failed.
        """
        given = list(statements)
        for statement in given:
            if not isinstance(statement, D1PreparedStatement):
                raise D1TypeError(
                    f"D1_TYPE_ERROR: batch() takes statements that prepare() made; got {type(statement).__name__}."
                )
        if not given:
            raise D1Error(f"D1_ERROR: {NO_STATEMENTS}")
        answers = _checked(await self._keeper().batch([(one._query, one._bindings) for one in given]))
        self._saw(answers[-1])
        return [_result(answer) for answer in answers]

    async def _query(self, query: str, bindings: tuple[Any, ...], with_meta: bool) -> Answer:
        answer: Answer = _checked(await self._keeper().query(query, bindings, with_meta))
        self._saw(answer)
        return answer

    def _keeper(self) -> Any:
        return self._keepers.get_by_name(self._id)  # a new stub: an old one may have seen a reset

    def _saw(self, answer: Answer) -> None:
        """Hear of what a query gave."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id!r}>"


class D1Database(_Database):
    """
    A database of SQLite, reached as `env.BINDING`.

    ```python
    user = await self.env.DB.prepare("SELECT * FROM users WHERE id = ?").bind(user_id).first()
    ```

    Each statement commits for itself, and is durable when it is answered. Foreign keys are enforced.
    """

    __slots__ = ()

    async def exec(self, query: str) -> D1ExecResult:
        """
        Run one statement for each line of *query* as one transaction, without parameters: for schemas and maintenance.

        Raises:
            D1Error: what SQLite said, with the number of the line (`D1_EXEC_ERROR`); then nothing has happened.
        """
        if not isinstance(query, str):
            raise D1TypeError(f"D1_TYPE_ERROR: exec() takes SQL as a str; got {type(query).__name__}.")
        lines = _text(query).strip().split("\n")
        took_ms, failed = await self._keeper().lines(lines)
        if failed is not None:
            index, error = failed
            raise _error(error, f"D1_EXEC_ERROR: Error in line {index + 1}: {lines[index]}: ")
        return D1ExecResult(len(took_ms), sum(took_ms))

    def with_session(
        self, constraint: Literal["first-primary", "first-unconstrained"] | str = "first-unconstrained"
    ) -> D1DatabaseSession:
        """
        Return a session, for programs that pass bookmarks on.

        There is one copy of the database here, so every query reads what was written before it, whatever *constraint* says.
        """
        return D1DatabaseSession(self._keepers, self._id)


class D1DatabaseSession(_Database):
    """A database with a bookmark; see `D1Database.with_session`."""

    __slots__ = ("_bookmark",)

    def __init__(self, keepers: Namespace[D1Keeper], id: str) -> None:
        super().__init__(keepers, id)
        self._bookmark: str | None = None

    def get_bookmark(self) -> str | None:
        """Return the bookmark of the state that the last query saw; None before the first one."""
        return self._bookmark

    def _saw(self, answer: Answer) -> None:
        self._bookmark = max(self._bookmark or "", answer.bookmark)


def _checked(answer: Any) -> Any:
    """Return what the keeper answered; raise what SQLite said."""
    if isinstance(answer, SqlError):
        raise _error(answer, "D1_ERROR: ")
    return answer


def _error(error: SqlError, before: str) -> D1Error:
    text = str(error)
    text = _NO_TRANSACTION if text == NO_TRANSACTION_SQL else text
    return D1Error(before + text, error.code, error.extended_code, error.offset)


def _result(answer: Answer) -> D1Result:
    assert answer.meta is not None, "it was asked for"
    return D1Result([Row(zip(answer.columns, row, strict=True)) for row in answer.rows], answer.meta)


def _bound(value: Any) -> Any:
    """Return *value* as SQLite takes it."""
    if value is None or isinstance(value, float):
        return None if value is None else float(value)
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise _unsupported(value, "an int has 64 bits at most")
        return int(value)
    if isinstance(value, str):
        return _text(str.__str__(value))  # of an Enum with text the text
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise _unsupported(value, "bind str, int, float, bytes, bool or None")


def _text(value: str) -> str:
    """Return *value*, if there is UTF-8 for it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _unsupported(value, "half a surrogate pair is no text in UTF-8") from None
    return value


def _unsupported(value: Any, advice: str) -> D1TypeError:
    return D1TypeError(
        f"D1_TYPE_ERROR: Type '{type(value).__name__}' not supported for value {value!r:.100}: {advice}"
    )
