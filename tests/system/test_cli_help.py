"""`perdure --help` answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["dev", "--help"],
        ["doctor", "--help"],
        ["sql", "--help"],
        ["kv", "--help"],
        ["export", "--help"],
        ["sql"],
        ["srve"],
        ["serve", "--prot"],
    ],
)
def test_what_needs_no_application_imports_no_server(arguments):
    """Not even asyncio: the answer is there before one could notice."""
    script = (
        "import sys\nfrom perdure._cli.main import run_command\n"
        f"run_command({arguments!r})\n"
        "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.partition("IMPORTED ")[2].split())
    assert imported
    assert not imported & {
        "apsw",
        "asyncio",
        "httptools",
        "httpx",
        "msgspec",
        "uvloop",
        "watchfiles",
    }


def test_a_server_starts_without_what_only_some_requests_need(tmp_path):
    """WebSockets, operators and pages of errors import what is theirs when the first one comes."""
    script = (
        "import asyncio, sys\nimport perdure._cli.host, perdure._cli.run, perdure._http.server\nfrom perdure import Runtime\n"
        "async def main():\n"
        f"    async with Runtime(objects=[], data={str(tmp_path / 'data')!r}, control=True): pass\n"
        "asyncio.run(main())\nprint('IMPORTED', *sorted(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.partition("IMPORTED ")[2].split())
    assert {"perdure._http.protocol", "perdure._admin.server"} <= imported
    assert not imported & {"html", "httpx", "perdure._admin.admin", "urllib.request", "websockets"}


def test_python_dash_m_is_the_same_command():
    """For environments where scripts are not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "perdure", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: perdure ")
