"""Form: how the messages of a session are written: as text for browsers, in binary between processes. (pure)

Kinds of messages, and what refers to something in a table, are the same in both; values are not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from perdure._base.registry import Registry
from perdure._rpc.capnweb.decode import Decoder, Importer

Line: TypeAlias = str | bytes
Refer: TypeAlias = Callable[[Any], Any]


class Form(ABC):
    """
    Writes and reads for one session.

    Args:
        registry: names the classes that arrive as themselves.
    """

    nothing: ClassVar[Line]
    """A message that takes the place of a call that never leaves, since the peer counts it."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry

    @abstractmethod
    def read(self, line: Line) -> list[Any]:
        """Return the message that *line* is; a ProtocolError if it is none."""

    @abstractmethod
    def write(self, message: list[Any]) -> Line:
        """Return *message* as it is sent."""

    @abstractmethod
    def encode(self, value: Any, refer: Refer, label: str) -> Any:
        """
        Return the expression of *value*; *refer* is asked for the expression of what passes by reference.

        Raises:
            DataCloneError: something inside can neither be copied nor passed by reference.
        """

    @abstractmethod
    def arguments(self, args: list[Any], kwargs: dict[str, Any], refer: Refer, label: str) -> Any:
        """Return the expression of the arguments of a call; as `encode`."""

    @abstractmethod
    def error(self, error: BaseException) -> Any:
        """Return the expression of *error*; it never holds a reference, and never fails."""

    @abstractmethod
    def decoder(self, importer: Importer, *, strict_undefined: bool = False) -> Decoder:
        """Return what makes values of expressions."""
