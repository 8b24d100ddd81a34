"""Every exception of Perdure, as one tree. (pure)

    PerdureError
    ├── DataCloneError (TypeError)       a value that cannot be stored or sent
    ├── SqlError                         what SQLite said, in Cloudflare's form
    │   └── D1Error                      … and a D1 database
    │       └── D1TypeError (TypeError)  a value that a D1 database cannot take
    ├── StorageError                     a store or transaction used in a way it does not allow
    │   ├── StorageReset                 writes could not be committed: the object was reset
    │   └── StorageFailed                the disk failed: nothing more can be made durable
    ├── ObjectReset                      the instance that served the call is gone (`durable_object_reset`)
    ├── Overloaded                       do not retry soon (`overloaded`)
    ├── TimedOut (TimeoutError)          a time limit that somebody set is over
    ├── Disconnected                     a transient break: retry idempotent work on a new stub (`retryable`)
    ├── WebSocketError                   the other side of a WebSocket broke the protocol
    ├── RemoteError                      an exception of a class that the caller's side does not know
    ├── ConfigError                      a mistake in a configuration or in a command's arguments
    └── DataFolderError                  the data folder cannot be used as it is
        └── DataFolderInUse              … another runtime holds it

A user's mistake is also the built-in it resembles: wrong types are `TypeError`, values out of range
`ValueError`. An exception that reaches a caller carries up to four flags (ERR-01…04); they are attributes
on the exception, whatever its class: read them with `getattr(error, "remote", False)`.
"""

from __future__ import annotations


class PerdureError(Exception):
    """Base of all errors that Perdure itself raises."""

    remote: bool = False
    """The error came from the other side of a call (ERR-01)."""
    retryable: bool = False
    """Transient: idempotent work may be tried again, with back-off, on a new stub (ERR-02)."""
    overloaded: bool = False
    """Too much work is waiting: do not try again soon (ERR-03)."""
    durable_object_reset: bool = False
    """The instance was reset by this failure (ERR-04)."""


class DataCloneError(PerdureError, TypeError):
    """A value that cannot be stored or sent; the text names the path to it inside the whole value."""


class SqlError(PerdureError):
    """
    What SQLite answered, as `<text>[ at offset <n>]: <CODE>[ (extended: <CODE>)]` (SQL-27).

    Attributes:
        code: the primary result code's name, for instance `SQLITE_CONSTRAINT`.
        extended_code: the extended result code's name, the same as `code` where there is none.
        offset: byte offset of the token the error is about, or -1.
    """

    def __init__(
        self, message: str, code: str = "SQLITE_ERROR", extended_code: str = "", offset: int = -1
    ) -> None:
        super().__init__(message)
        self.code = code
        self.extended_code = extended_code or code
        self.offset = offset


class D1Error(SqlError):
    """
    What a D1 database answered: `D1_ERROR: ` and the text of SQLite, or another of Cloudflare's words before the colon:
    `D1_EXEC_ERROR`, `D1_COLUMN_NOTFOUND`, `D1_TYPE_ERROR`.
    """


class D1TypeError(D1Error, TypeError):
    """A value of a type that a D1 database cannot take."""


class StorageError(PerdureError):
    """Storage was used in a way that its state does not allow."""


class StorageReset(StorageError):
    """
    The object was reset because writes of it could not be committed or made durable (GATE-09, SQL-26).

    `durable_object_reset` is not set, as workerd does not set it for this one.

    Attributes:
        is_outage: the storage failed, for instance a full disk; the application did nothing wrong.
    """

    is_outage: bool = False


class StorageFailed(StorageError):
    """The disk failed in a way after which nothing can be called durable; the runtime must be restarted."""


class ObjectReset(PerdureError):
    """The object's instance was dropped at once: by `ctx.abort()` or by a failure (LIFE-15)."""

    durable_object_reset = True


class Overloaded(PerdureError):
    """Too much is waiting, or something waited too long (ERR-03)."""

    overloaded = True


class TimedOut(PerdureError, TimeoutError):
    """A time limit that somebody set is over: the runtime's for an event, or that of one call from a thread."""


class Disconnected(PerdureError):
    """The connection to the object broke; a new stub may succeed (ERR-02)."""

    retryable = True


class WebSocketError(PerdureError):
    """
    The other side of a WebSocket did what the protocol does not allow; the connection is closed.

    Attributes:
        code: the close code that it was told.
        reason: the text that it was told.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(
            f"WebSocket protocol error; protocolError.statusCode = {code}; protocolError.description = {reason}"
        )
        self.code = code
        self.reason = reason


class RemoteError(PerdureError):
    """
    An exception of a class this side does not know.

    Attributes:
        name: qualified name of the class on the other side.
    """

    remote = True

    def __init__(self, message: str, name: str = "Exception") -> None:
        super().__init__(message)
        self.name = name


class ConfigError(PerdureError, ValueError):
    """A mistake in a configuration file, a module to load, or a command's arguments."""


class DataFolderError(PerdureError):
    """The data folder cannot be used: its format is newer, it is damaged, or a migration was refused."""


class DataFolderInUse(DataFolderError):
    """
    Another runtime holds the data folder.

    Attributes:
        pid: its process, if that is known.
        role: "server" when it has, or will have, a control socket; "command" for a command of `perdure` that is
            done in a moment; else "".
    """

    def __init__(self, message: str, pid: int | None = None, role: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.role = role
