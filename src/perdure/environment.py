"""`env`: bindings and variables, by attribute and as a mapping. (cooperative)

Source: EP-07, EP-08. `self.env` is the runtime's own; `from perdure import env` finds, at each use, the one of
the event that runs, or else of the only runtime in the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from perdure._base.current import current_env

if TYPE_CHECKING:
    from perdure.web import Headers, Request, Response

_running: list[Env] = []
"""The envs of started runtimes in this process."""


class Outside(Protocol):
    """Takes the place of the network, in tests."""

    async def send(self, request: Request) -> Response:
        """Answer exactly this request; redirects are followed by the caller."""

    async def connect(self, url: str, protocols: list[str], headers: Headers) -> Response:
        """Answer a WebSocket handshake: with status 101 the response carries the WebSocket."""


class Env(Mapping[str, Any]):
    """What an application was configured with; the same object in the worker and in every object."""

    # Beside the names that users see: whom requests to the world go to.
    __slots__ = ("__dict__", "_outside")

    def __init__(self, values: Mapping[str, Any], outside: Outside | None = None) -> None:
        self.__dict__.update(values)
        self._outside = outside

    def _add(self, values: Mapping[str, Any]) -> None:
        """Take in what could only be made when this env was there: workers that are given it."""
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        have = ", ".join(sorted(self.__dict__)) or "nothing"
        raise AttributeError(f"env has no binding or variable {name!r}; it has {have}")

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        return f"<env: {', '.join(sorted(self.__dict__))}>"  # no values: some are secrets


class CurrentEnv(Mapping[str, Any]):
    """Stands for the env of the event that runs."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_find(), name)

    def __getitem__(self, name: str) -> Any:
        return _find()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_find())

    def __len__(self) -> int:
        return len(_find())

    def __repr__(self) -> str:
        return "<env of the running event>"


def outside() -> Outside | None:
    """Return what takes the network's place for the running code, if something does."""
    try:
        return _find()._outside
    except AttributeError:  # code of no runtime
        return None


def _find() -> Env:
    found: Env | None = current_env.get()
    if found is not None and any(found is running for running in _running):
        return found
    if len(_running) == 1:
        return _running[0]
    if not _running:
        raise AttributeError("env is empty until a Runtime has started")
    raise AttributeError(
        f"{len(_running)} runtimes are running, and this code belongs to none of them: use `self.env`, or `runtime.env`"
    )


env = CurrentEnv()
