"""Options of commands, from the table of settings. (pure)"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from perdure._config.settings import Setting, of_command, size_bytes

F = TypeVar("F", bound=Callable[..., Any])


class Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A number of bytes, as `64KiB` or `100MB` too."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return size_bytes(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Addresses(click.ParamType):  # type: ignore[type-arg]
    """A list of IP addresses and networks."""

    name = "addresses"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from perdure._http.forwarded import Proxies

        try:
            Proxies(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class Mode(click.ParamType):  # type: ignore[type-arg]
    """Permission bits, in octal."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch("0?[0-7]{3}", value):
            self.fail(f"{value!r} is no file mode; write it in octal, like 660 or 600", param, ctx)
        return int(value, 8)


class HealthPath(click.ParamType):  # type: ignore[type-arg]
    """A path, or nothing for `off`."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in ("", "off"):
            return ""
        if not re.fullmatch(r"/[!-~]*", value) or "?" in value or "#" in value:
            self.fail(f"{value!r} is no path; write it like /cdn-cgi/health, or off for none", param, ctx)
        return value


def _type(setting: Setting) -> Any:
    if setting.choices:
        return click.Choice(setting.choices)
    match setting.name:
        case "port":
            return click.IntRange(0, 65535)
        case "max_body" | "queue_bytes" | "max_message" | "websocket_buffer":
            return Size()
        case "queue_events" | "events_per_10_s" | "limit":
            return click.IntRange(1)
        case "queue_wait" | "event_timeout" | "timeout":
            return click.FloatRange(0, min_open=True)
        case "max_connections" | "max_requests":
            return click.IntRange(1)
        case "uds_mode":
            return Mode()
        case "health_path":
            return HealthPath()
        case "forwarded_allow_ips":
            return Addresses()
        case "drain" | "websocket_ping":
            return click.FloatRange(0)
        case "slow_ms":
            return click.IntRange(0)
        case _:
            return str


def settings_of(command: str) -> Callable[[F], F]:
    """Give a command the options that the table of settings has for it."""

    def decorate(function: F) -> F:
        for setting in reversed(of_command(command)):
            flags: dict[str, Any] = {"help": setting.help, "envvar": setting.variable}
            flags["show_envvar"] = setting.variable is not None
            names = [setting.option, setting.name]
            if setting.short is not None:
                names.insert(0, setting.short)
            if setting.kind is bool:
                flags |= {"is_flag": True, "default": setting.default}
                if setting.is_flag_off:
                    names[-2] = setting.option.replace("no-", "", 1) + "/" + setting.option
            else:
                flags |= {"type": _type(setting), "default": setting.default, "metavar": setting.metavar}
                flags |= {
                    "multiple": setting.kind is list,
                    "show_default": setting.default not in (None, (), "."),
                }
            function = click.option(*names, **flags)(function)
        return function

    return decorate
