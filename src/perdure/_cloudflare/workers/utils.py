"""`workers.utils`: ways to Cloudflare's own modules, and to the `ctx` of the event that runs. (cooperative)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

from perdure._cloudflare import compat_flags
from perdure._cloudflare.context_view import current_context
from perdure._cloudflare.env_view import env, patch_env
from perdure._cloudflare.exceptions import js_error

__all__ = ["env", "get_compat_flag", "import_from_javascript", "patch_env", "waitUntil", "wait_until"]

NO_EVENT: Final = (
    "wait_until() was called outside of an event: there is nothing that could be kept alive. Call it in a handler, or a "
    "method that one calls."
)
NO_MODULE: Final = (
    "Failed to import {name!r}: there is no JavaScript here. `cloudflare:workers` (env, withEnv, waitUntil) and "
    "`cloudflare:sockets` can be imported; everything else has to be a module of Python."
)
NO_SOCKETS: Final = (
    "cloudflare:sockets is not here: use asyncio.open_connection(host, port), which does the same."
)


def wait_until(awaitable: Any) -> None:
    """Let *awaitable* run on in the background of the event that runs."""
    context = current_context()
    if context is None:
        raise RuntimeError(NO_EVENT)
    context.waitUntil(awaitable)


waitUntil = wait_until


def import_from_javascript(module_name: str) -> Any:
    """
    Return a module of Cloudflare's.

    Raises:
        ImportError: it is neither `cloudflare:workers` nor `cloudflare:sockets`.
    """
    if module_name == "cloudflare:workers":
        return SimpleNamespace(env=env, withEnv=_with_env, waitUntil=wait_until)
    if module_name == "cloudflare:sockets":
        return SimpleNamespace(connect=_connect)
    raise ImportError(NO_MODULE.format(name=module_name))


def get_compat_flag(flag: str) -> bool:
    """Tell whether the project has a compatibility flag."""
    return bool(getattr(compat_flags, flag, False))


def _with_env(values: Any, function: Any) -> Any:
    with patch_env(values):
        return function()


def _connect(*args: Any, **options: Any) -> Any:
    raise js_error("Error", NO_SOCKETS)
