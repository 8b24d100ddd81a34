"""`env` as Cloudflare has it; also while the application is imported, before a runtime has started. (cooperative)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

import perdure
from perdure._cloudflare import d1_view as _d1_view  # noqa: F401  (they register what bindings are shown as)
from perdure._cloudflare import kv_view as _kv_view  # noqa: F401
from perdure._cloudflare.convert import python_from_rpc
from perdure._cloudflare.values import JsArray
from perdure._cloudflare.views import View, raw


class EnvView(View):
    """Bindings and variables, by attribute and by item."""

    def __getattr__(self, name: str) -> Any:
        if name == "_env":  # what the SDK's own wrapper holds, and some projects reach for
            return self
        if name[:2] == "__" or name == "_native":
            raise AttributeError(name)
        value = self.__dict__[name] = shown_binding(getattr(self._native, name))
        return value

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._native)

    def __len__(self) -> int:
        return len(self._native)

    def object_keys(self) -> JsArray:
        """Return the names."""
        return JsArray(self)

    def __dir__(self) -> list[str]:
        return list(self)


def shown_binding(value: Any) -> Any:
    """Return what a project gets for a value of `env`: a view, or a variable with JavaScript's members."""
    return raw(value) if type(value) in (dict, list) else python_from_rpc(value)


# --- `from workers import env` --------------------------------------------------------------------------

_at_import: dict[str, Any] = {}
"""What `env` has while the application is imported: variables, and what stands for the bindings that will be there."""
_patched: ContextVar[Mapping[str, Any]] = ContextVar("perdure_patched_env", default=MappingProxyType({}))


class _ImportedEnv(EnvView):
    """The env of the event that runs; before there is any, what the configuration says."""

    def __getattr__(self, name: str) -> Any:
        if name in _patched.get():
            return _patched.get()[name]
        if name in _at_import and not _is_running():
            return _at_import[name]
        value = super().__getattr__(name)
        self.__dict__.pop(name, None)  # another event may have another env
        return value

    def __iter__(self) -> Iterator[str]:
        known = list(self._native) if _is_running() else list(_at_import)
        return iter({**dict.fromkeys(known), **_patched.get()})

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Later:
    """Stands for a binding while the application is imported; it is looked up when it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(shown_binding(getattr(perdure.env, self._name)), name)

    def __repr__(self) -> str:
        return f"<binding {self._name}>"


env: Final = _ImportedEnv(perdure.env)


def know(variables: Mapping[str, Any], bindings: tuple[str, ...]) -> None:
    """Let `env` have *variables*, and the names of *bindings*, while the application is imported."""
    _at_import.clear()
    _at_import.update({name: shown_binding(value) for name, value in variables.items()})
    _at_import.update({name: _Later(name) for name in bindings})


@contextmanager
def patch_env(values: Any = None, **named: Any) -> Iterator[None]:
    """Let the `env` of `workers` have other values inside of the block, for tests."""
    given = {**dict(values or {}), **named}
    token = _patched.set({**_patched.get(), **{name: raw(value) for name, value in given.items()}})
    try:
        yield
    finally:
        _patched.reset(token)


def _is_running() -> bool:
    try:
        len(perdure.env)
    except AttributeError:
        return False
    return True
