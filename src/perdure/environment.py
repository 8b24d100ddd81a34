"""`env`: bindings and variables, by attribute and as a mapping. (cooperative)

Source: EP-07, EP-08. `self.env` is the runtime's own; `from perdure import env` finds, at each use, the one of
the event that runs, or else of the only runtime in the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from perdure._base.current import current_env
from perdure.errors import PerdureError

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


class Absent:
    """
    Stands for a binding that has nothing behind it here: any use raises an error that says what it would need.

    Perdure has no place for what only Cloudflare's platform has, such as its AI models; the application starts
    without, and a test puts a stand-in of its own there: `testing.runtime(vars={"AI": FakeAi()}, …)`.
    """

    __slots__ = ("__name", "__what")

    def __init__(self, name: str, what: str) -> None:
        self.__name = name
        self.__what = what

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":  # of Python's own protocols, which ask whatever they meet
            raise AttributeError(name)
        raise self.__error(f".{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.__error("()")

    def __getitem__(self, key: Any) -> Any:
        raise self.__error("[…]")

    def __error(self, use: str) -> PerdureError:
        return PerdureError(
            f"env.{self.__name}{use} cannot be used: env.{self.__name} is bound to {self.__what}, which is not here. "
            "Perdure runs one project, and has nothing in the place of Cloudflare's platform. In a test, "
            f'vars={{"{self.__name}": …}} puts something of yours there.'
        )

    def __repr__(self) -> str:
        return f"<env.{self.__name}: {self.__what}, which is not here>"


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
