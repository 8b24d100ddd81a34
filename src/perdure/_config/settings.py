"""Every setting: one table that options, environment variables and the reference read. (pure)

A setting has one value per run: the option, else the environment variable, else the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perdure._base import limits
from perdure._config.problem import Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    """As in code; the option is `--<name>` with dashes, the variable `PERDURE_<NAME>`."""
    kind: type
    default: Any
    help: str
    commands: tuple[str, ...]
    unit: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    is_flag_off: bool = False
    """A switch that is on unless `--no-<name>` is given."""
    short: str | None = None
    """One letter with a dash."""
    in_environment: bool = True

    @property
    def option(self) -> str:
        dashed = self.name.replace("_", "-")
        return f"--no-{dashed}" if self.is_flag_off else f"--{dashed}"

    @property
    def variable(self) -> str | None:
        return f"PERDURE_{self.name.upper()}" if self.in_environment else None


RUN = ("dev", "serve")
OBJECT = ("sql", "kv", "call", "export", "import", "delete", "evict", "abort")
"""Commands on one object, or on some."""
FOLDER = ("objects", *OBJECT, "d1", "import-state", "verify", "backup", "doctor")
"""Commands on a data folder, whether something runs there or not."""
ALL = (*RUN, "check", *FOLDER)


def _of_command(
    name: str, kind: type, default: Any, help: str, commands: tuple[str, ...], **more: Any
) -> Setting:
    """Return a setting that means one call of one command, and so has no environment variable."""
    return Setting(name, kind, default, help, commands, in_environment=False, **more)


SETTINGS: tuple[Setting, ...] = (
    _of_command("id", bool, False, "NAME is an id of 64 hex digits, and not a name.", OBJECT),
    _of_command("write", bool, False, "Let the statements change the data.", ("sql",)),
    _of_command("csv", bool, False, "Print CSV.", ("sql",)),
    _of_command(
        "timeout",
        float,
        limits.ADMIN_QUERY_S,
        "How long a reading query may take; a server answers nothing else meanwhile.",
        ("sql",),
        unit="seconds",
        metavar="SECONDS",
    ),
    _of_command("prefix", str, "", "Only those that begin so.", ("objects", "kv"), metavar="TEXT"),
    _of_command(
        "limit", int, limits.ADMIN_LIST_DEFAULT, "Show at most so many.", ("objects", "kv"), metavar="N"
    ),
    _of_command("reverse", bool, False, "From the last to the first.", ("kv",)),
    _of_command(
        "kw", list, (), "Keyword argument; may be given several times.", ("call",), metavar="NAME=VALUE"
    ),
    _of_command(
        "output",
        str,
        None,
        "File to write; - prints it. Of export: .sql for text, else a database.",
        ("export", "types"),
        metavar="FILE",
        short="-o",
    ),
    _of_command("ts", bool, False, "Write TypeScript, for clients that speak Cap'n Web.", ("types",)),
    _of_command("check", bool, False, "Write nothing; exit code 1 if the file is stale.", ("types",)),
    _of_command(
        "yes", bool, False, "Do it without asking.", ("import", "import-state", "delete", "d1"), short="-y"
    ),
    _of_command("command", str, None, "SQL to run.", ("d1",), metavar="SQL"),
    _of_command("file", str, None, "File of SQL to run; - is standard input.", ("d1",), metavar="FILE"),
    _of_command("local", bool, False, "Understood: it is always this machine's database.", ("d1",)),
    _of_command("remote", bool, False, "Refused: Perdure has no databases at Cloudflare.", ("d1",)),
    _of_command(
        "leave_out",
        bool,
        False,
        "Import without values that only JavaScript can read, instead of refusing.",
        ("import", "import-state"),
    ),
    _of_command("full", bool, False, "Copy everything, changed or not.", ("backup",)),
    _of_command("all", bool, False, "All live objects: of CLASS, or of every class.", ("evict", "abort")),
    _of_command(
        "json",
        bool,
        False,
        "Print JSON.",
        ("objects", "sql", "kv", "call", "d1", "import-state", "verify", "backup", "check", "doctor"),
    ),
    Setting(
        "path",
        str,
        ".",
        "Application whose data folder is meant, as PATH of serve; by default that of the current folder.",
        FOLDER,
        metavar="PATH",
        in_environment=False,
    ),
    Setting("host", str, "127.0.0.1", "Address to listen on.", RUN),
    Setting("port", int, 8787, "Port to listen on; 0 takes a free one and prints it.", RUN),
    Setting("uds", str, None, "Unix socket to listen on, instead of an address.", RUN, metavar="PATH"),
    Setting("uds_mode", str, "660", "Permission bits of its file.", RUN, metavar="MODE"),
    Setting(
        "max_connections",
        int,
        None,
        "Open connections; by default as many as the limit of open files lets.",
        RUN,
        metavar="N",
    ),
    Setting("max_requests", int, limits.HTTP_REQUESTS_MAX, "Requests in progress.", RUN, metavar="N"),
    Setting(
        "health_path",
        str,
        limits.HTTP_HEALTH_PATH,
        "Path where the server itself says whether it serves, or off.",
        RUN,
        metavar="PATH",
    ),
    Setting("proxy_headers", bool, True, "Believe X-Forwarded-* of trusted proxies.", RUN, is_flag_off=True),
    Setting(
        "forwarded_allow_ips",
        str,
        limits.HTTP_PROXIES,
        "Which proxies are trusted; * for all.",
        RUN,
        metavar="IPS",
    ),
    Setting(
        "data",
        str,
        None,
        "Folder of the objects' state; by default .perdure beside the application.",
        ALL,
        metavar="DIR",
    ),
    Setting(
        "config",
        str,
        None,
        "Configuration file to read instead of the one found in PATH.",
        (*ALL, "types"),
        metavar="FILE",
    ),
    Setting("env", str, None, "Environment of the configuration to use.", (*ALL, "types"), metavar="NAME"),
    Setting(
        "var",
        list,
        (),
        "Variable for env, over those of files; may be given several times.",
        (*RUN, "check", "types", "call"),
        metavar="K:V",
        in_environment=False,
    ),
    Setting(
        "reload",
        bool,
        True,
        "Watch the files, and reload when they change.",
        ("dev",),
        is_flag_off=True,
    ),
    Setting(
        "log_level",
        str,
        "info",
        "Least important log records to show.",
        RUN,
        choices=("debug", "info", "warning", "error"),
    ),
    Setting(
        "log_format",
        str,
        "text",
        "Lines for people, or one JSON object a line.",
        ("serve",),
        choices=("text", "json"),
    ),
    Setting(
        "drain",
        float,
        limits.DRAIN_S,
        "How long running requests may go on after SIGTERM or Ctrl-C.",
        ("serve",),
        unit="seconds",
        metavar="SECONDS",
    ),
    Setting(
        "max_body",
        int,
        limits.HTTP_BODY_BYTES_MAX,
        "Largest request body; KB, MB and GB are understood.",
        RUN,
        unit="bytes",
        metavar="BYTES",
    ),
    Setting(
        "max_message",
        int,
        limits.WEBSOCKET_MESSAGE_BYTES_MAX,
        "Largest message of a WebSocket client; beyond that it is closed with 1009.",
        RUN,
        unit="bytes",
        metavar="BYTES",
    ),
    Setting(
        "websocket_buffer",
        int,
        limits.WEBSOCKET_BUFFER_BYTES,
        "What may wait for a slow WebSocket client, for more than a moment; then it is closed with 1013.",
        RUN,
        unit="bytes",
        metavar="BYTES",
    ),
    Setting(
        "websocket_ping",
        float,
        0.0,
        "Ping WebSocket clients so often, and cut off those that do not answer; 0: never.",
        RUN,
        unit="seconds",
        metavar="SECONDS",
    ),
    Setting(
        "websocket_compression",
        bool,
        False,
        "Let WebSocket clients compress their messages (permessage-deflate).",
        RUN,
    ),
    Setting(
        "slow_ms",
        int,
        limits.SLOW_STEP_MS,
        "Tell of code that blocks the event loop longer than this; 0: never.",
        RUN,
        unit="milliseconds",
        metavar="MS",
    ),
    Setting(
        "queue_events",
        int,
        limits.QUEUED_EVENTS_MAX,
        "How many events may wait at one object for their first step.",
        RUN,
        metavar="N",
    ),
    Setting(
        "queue_bytes",
        int,
        limits.QUEUED_BYTES_MAX,
        "How many bytes of arguments and bodies these may have together.",
        RUN,
        unit="bytes",
        metavar="BYTES",
    ),
    Setting(
        "queue_wait",
        float,
        limits.QUEUED_S_MAX,
        "How long one of them may wait.",
        RUN,
        unit="seconds",
        metavar="SECONDS",
    ),
    Setting(
        "events_per_10_s",
        int,
        None,
        "How many events one object takes in ten seconds; by default as many as it can serve.",
        RUN,
        metavar="N",
    ),
    Setting(
        "event_timeout",
        float,
        None,
        "How long an event may run before it is cancelled; by default as long as it likes.",
        RUN,
        unit="seconds",
        metavar="SECONDS",
    ),
    Setting(
        "template",
        str,
        "counter",
        "What to begin with.",
        ("init",),
        choices=("counter", "booking", "chat", "shared_list"),
        in_environment=False,
    ),
)

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmg]?)(?P<binary>i?)b?", re.IGNORECASE)


def of_command(command: str) -> tuple[Setting, ...]:
    """Return the settings of one command, in the order of the table."""
    return tuple(setting for setting in SETTINGS if command in setting.commands)


def size_bytes(text: str) -> int:
    """
    Return the number of bytes that `100`, `64KB`, `64KiB` or `1.5 MB` says.

    Raises:
        ValueError: it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 500000, 100MB or 64KiB")
    power = " kmg".index(match["unit"].lower() or " ")
    return int(float(match["number"]) * (1024 if match["binary"] else 1000) ** power)


def unknown_variables(environment: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return a warning for each `PERDURE_…` variable that no setting reads."""
    known = [setting.variable for setting in SETTINGS if setting.variable is not None]
    return tuple(
        Problem(
            "config/unknown-variable",
            f"the environment variable {name} is not one that Perdure reads",
            "warning",
            hint=did_you_mean(name, known),
            help=f"it reads {', '.join(known)}",
        )
        for name in sorted(environment)
        if name.startswith("PERDURE_") and name not in known
    )
