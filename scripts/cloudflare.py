"""Write the tables of docs/cloudflare.md from the list of Cloudflare's Python surface and the tests that show its members."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/cloudflare.md"
SURFACE = ROOT / "tests/cloudflare/surface.toml"
TIERS = ("A", "B", "C")
SHOWN = {"shown": "yes", "there": "there", "differs": "differs", "absent": "no"}
PLACE = re.compile(r"(?<=<!-- members -->\n).*(?=<!-- end -->)", re.DOTALL)


def members() -> Iterator[tuple[str, str, str, str]]:
    """Yield (class or module, member, state, note) of the whole surface; the state is "", "differs" or "absent"."""
    for owner, said in tomllib.loads(SURFACE.read_text()).items():
        notes = {
            name: (state, said[state][name])
            for state in ("differs", "absent")
            for name in said.get(state, {})
        }
        names = [name for tier in TIERS for name in said.get(tier, "").split()]
        for name in [*names, *(name for name in notes if name not in names)]:
            yield owner, name, *notes.get(name, ("", ""))


def shown() -> dict[str, int]:
    """Return member → how many tests show it, by their marks `members("js.Date.now", "js.URL: href port", ...)`."""
    found: dict[str, int] = {}
    for path in sorted((ROOT / "tests/cloudflare").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "members"
            ):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        for member in named_by(str(argument.value)):
                            found[member] = found.get(member, 0) + 1
    return found


def named_by(text: str) -> list[str]:
    """Return the members that an argument of a mark names: one, or several of one class, with blanks between."""
    owner, several, names = text.partition(": ")
    return [f"{owner}.{name}" for name in names.split()] if several else [text]


def tables() -> str:
    """Return the counts and a table for each class and module; a test that shows what is not listed is an error."""
    tests, lines, problems = shown(), [], []
    count = dict.fromkeys(SHOWN, 0)
    known, owner_before = set(), None
    for owner, name, state, note in members():
        member = f"{owner}.{name}"
        known.add(member)
        if state == "absent" and member in tests:
            problems.append(f"{member}: a test shows it, and surface.toml says that it is absent")
        state = state or ("shown" if member in tests else "there")
        count[state] += 1
        if owner != owner_before:
            owner_before = owner
            lines += ["", f"### `{owner}`", "", "| member | here | |", "|---|---|---|"]
        lines.append(f"| `{name}` | {SHOWN[state]} | {note} |")
    # `new` makes an instance of any class.
    unknown = {member for member in tests.keys() - known if member.removesuffix(".new") not in known}
    problems += [f"{member}: a test shows it, and surface.toml does not list it" for member in unknown]
    if problems:
        raise SystemExit("\n".join(sorted(problems)))
    counts = ", ".join(f"{SHOWN[state]}: {number}" for state, number in count.items())
    return "\n".join([f"{sum(count.values())} members. {counts}.", *lines, "", ""])


def page() -> str:
    """Return the whole page: what people wrote, and the tables in their place."""
    return PLACE.sub(lambda _: "\n" + tables(), PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(page())
