"""What the command line shows, as text: banner, request lines, log lines. (pure)"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence

from perdure._config.problem import Problem, as_json, render

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def paint(text: str, *styles: str, colour: bool) -> str:
    """Return *text* in colour, or as it is."""
    if not colour or not text:
        return text
    return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"


def address(host: str, port: int) -> str:
    """Return the URL that a listening address answers at."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_address(host: str) -> bool:
    """Tell an address, or none at all, from a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return not host
    return True


def banner(
    version: str,
    name: str,
    main: str,
    rows: Sequence[Sequence[str]],
    *,
    worker: bool,
    variables: Iterable[str],
    data: str,
    assets: str | None = None,
    environment: str | None = None,
    colour: bool = False,
) -> str:
    """Return what stands above the line `Ready on …`: the bindings, the names of variables, the folders."""
    title = (
        f"{paint('Perdure', 'bold', colour=colour)} {version}  {paint(name, 'bold', colour=colour)}  {main}"
    )
    lines = [title, ""]
    width = max((len(name) for name, _, _ in rows), default=0)
    lines += [
        f"  env.{name.ljust(width)}  {paint(what, 'dim', colour=colour)} {which}"
        for name, what, which in rows
    ]
    if not rows:
        lines.append(paint("  no durable objects", "yellow", colour=colour))
    nobody = "nobody answers them" if assets is None else "files alone"
    facts = [("requests", "Default.fetch" if worker else nobody)]
    names = sorted(variables)
    if names:
        facts.append(("variables", ", ".join(names)))
    if environment is not None:
        facts.append(("environment", environment))
    if assets is not None:
        facts.append(("assets", assets))
    facts.append(("data", data))
    label = max(len(left) for left, _ in facts)
    lines += [f"  {paint(left.ljust(label), 'dim', colour=colour)}  {right}" for left, right in facts]
    lines.append("")
    return "\n".join(lines)


def request_line(method: str, path: str, status: int, ms: float, *, colour: bool) -> str:
    """Return the line of one finished request."""
    style = "red" if status >= 500 else "yellow" if status >= 400 else "cyan" if status >= 300 else "green"
    took = f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"
    return f"{method} {path} {paint(str(status), style, colour=colour)} {paint(took, 'dim', colour=colour)}"


def counted(number: int, what: str) -> str:
    """Return `1 object`, `2 objects`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def json_text(data: object) -> str:
    """Return JSON for people and programs; what JSON has no word for is tagged already."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def problems_text(problems: Iterable[Problem], *, colour: bool) -> str:
    return "\n\n".join(render(problem, colour=colour) for problem in problems)


def problems_json(problems: Sequence[Problem], **more: object) -> str:
    """Return the answer of `check --json`."""
    ok = all(problem.severity != "error" for problem in problems)
    return json.dumps({"ok": ok, "problems": [as_json(problem) for problem in problems], **more}, indent=2)


def json_line(fields: Mapping[str, object]) -> str:
    """Return one record of `--log-format json`; what has no value is left out."""
    return json.dumps(
        {name: value for name, value in fields.items() if value not in (None, "")},
        ensure_ascii=False,
        default=str,
    )
