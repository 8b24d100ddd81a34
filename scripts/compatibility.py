"""Write docs/compatibility.md from what the tests declare, what compatibility.toml says, and the differences."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/compatibility.md"
STATES = ("differs", "partly", "not-yet", "does-not-apply")
SHOWN = {
    "done": "done",
    "differs": "differs on purpose",
    "partly": "partly, the rest not yet",
    "not-yet": "not yet",
    "does-not-apply": "does not apply",
}
INTRODUCTION = """\
# Compatibility with Cloudflare Durable Objects

One line for each numbered behaviour of Durable Objects. *Done* means that tests declare the row, and they pass;
find them by `git grep ROW tests`. This page is written by `make docs`; a test keeps it true.

"""


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield (section, id, title) of every row."""
    section = ""
    for line in (ROOT / "docs/compatibility-rows.tsv").read_text().splitlines():
        if line.startswith("# "):
            section = line[2:]
        else:
            row, _, title = line.split("\t")
            yield section, row, title


def declared() -> set[str]:
    """Return the rows that tests declare, with `rows("SQL-11", ...)` as a mark."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "rows"
            ):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found |= set(span(str(argument.value)))
    return found


def span(name: str) -> list[str]:
    """Return the rows of "WS-01..WS-36", or of one name."""
    first, _, last = name.partition("..")
    if not last:
        return [first]
    prefix, low = first.split("-")
    prefix_of_last, high = last.split("-")
    assert prefix == prefix_of_last, name
    return [f"{prefix}-{number:02}" for number in range(int(low), int(high) + 1)]


def noted() -> dict[str, tuple[str, str]]:
    """Return row → (state, reason) of docs/compatibility.toml."""
    notes = tomllib.loads((ROOT / "docs/compatibility.toml").read_text())
    return {
        row: (state, reason)
        for state in STATES
        for name, reason in notes[state].items()
        for row in span(name)
    }


def states() -> dict[str, tuple[str, str]]:
    """Return row → (state, note) of every row; a row with no state is an error."""
    tested, notes = declared(), noted()
    known = {row for _, row, _ in rows()}
    problems = [
        f"{row}: a test or compatibility.toml names a row that is not there"
        for row in (tested | set(notes)) - known
    ]
    result: dict[str, tuple[str, str]] = {}
    for row in known:
        state, reason = notes.get(row, ("", ""))
        if row in tested and state in ("not-yet", "does-not-apply"):
            problems.append(f"{row}: a test declares it, and compatibility.toml says {SHOWN[state]}")
        elif row in tested:
            result[row] = (state or "done", reason)
        elif not state:
            problems.append(f"{row}: no test declares it, and compatibility.toml says nothing of it")
        elif state in ("differs", "partly"):
            problems.append(f"{row}: {SHOWN[state]}, but no test shows how")
        else:
            result[row] = (state, reason)
    if problems:
        raise SystemExit("\n".join(sorted(problems)))
    return result


def differences() -> list[str]:
    """Return the lines about recorded answers of workerd that Perdure gives otherwise."""
    sys.path.insert(0, str(ROOT))
    from tests.oracle.differences import DIFFERENCES

    reasons: dict[str, list[str]] = {}
    for difference in DIFFERENCES:
        reasons.setdefault(difference.reason, []).append(difference.scenario)
    return [f"- {reason} ({', '.join(sorted(set(names)))})" for reason, names in sorted(reasons.items())]


def page() -> str:
    """Return the whole page."""
    found = states()
    count = {state: sum(1 for s, _ in found.values() if s == state) for state in SHOWN}
    lines = [
        INTRODUCTION + ", ".join(f"{SHOWN[state]}: {number}" for state, number in count.items()) + ".",
        "",
    ]
    section = None
    for name, row, title in rows():
        if name != section:
            section = name
            lines += ["", f"## {name}", "", "| row | what | state | note |", "|---|---|---|---|"]
        state, note = found[row]
        lines.append(f"| {row} | {title} | {SHOWN[state]} | {note} |")
    lines += [
        "",
        "## Recorded answers that differ on purpose",
        "",
        "The same steps were played on workerd and on Perdure. Where the answers differ on purpose, a test holds",
        "Perdure to its own answer:",
        "",
        *differences(),
        "",
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


if __name__ == "__main__":
    PAGE.write_text(page())
