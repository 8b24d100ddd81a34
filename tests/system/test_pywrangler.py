"""The command `pywrangler` as programs that wait for it use it, and the extra that installs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
from cli_process import APP, Perdure

ROOT = Path(__file__).parents[2]
D1_APP = """\
from perdure import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        rows = await self.env.DB.prepare("SELECT text FROM quotes").raw()
        return Response.json([text for (text,) in rows])
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def pywrangler(app, *arguments, **environment):
    paths = os.pathsep.join([str(ROOT / "packages/pywrangler"), str(ROOT / "src")])
    return Perdure(*arguments, cwd=app, module="pywrangler", PYTHONPATH=paths, **environment)


def test_dev_says_in_wranglers_words_where_it_is_ready(app):
    """The line comes when requests are answered, and SIGTERM is a good end."""
    with pywrangler(app, "dev", "--local", "--port", "0") as server:
        port = server.wait_for(r"\[wrangler:info\] Ready on http://localhost:(\d+)\n")[1]
        assert httpx.get(f"http://localhost:{port}/hit").text == "1"
        assert httpx.get(f"http://127.0.0.1:{port}/hit").text == "2"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert (app / ".perdure").is_dir()


def test_options_reach_the_run(app):
    """Address, variables and the folder of the state, in wrangler's names; Cloudflare's variable for the environment."""
    (app / "wrangler.jsonc").write_text('{"name": "x", "main": "app.py", "env": {"staging": {}}}')
    with pywrangler(
        app,
        *"dev --ip 127.0.0.1 --port 0 --var GREETING:hello --persist-to state".split(),
        CLOUDFLARE_ENV="staging",
    ) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.get("var").text == "hello"
        assert "staging" in server.output
    assert (app / "state/perdure/classes.json").is_file()
    assert not (app / ".perdure").exists()


def test_d1_comes_before_dev_and_beside_it(app):
    """A harness makes the schema, starts the project, and clears tables meanwhile: all on the same state."""
    (app / "wrangler.jsonc").write_text(
        '{"name": "x", "main": "app.py", "d1_databases": [{"binding": "DB", "database_name": "quotes"}]}'
    )
    (app / "init.sql").write_text(
        "CREATE TABLE quotes (text TEXT);\nINSERT INTO quotes VALUES ('a'), ('b');\n"
    )
    app.joinpath("app.py").write_text(D1_APP)
    state = ("--persist-to", "state")
    with pywrangler(
        app, "d1", "execute", "quotes", "--local", "--file", "init.sql", "--yes", *state
    ) as command:
        assert command.wait() == 0
        assert command.output == "2 statements run, 2 rows changed\n"
    with pywrangler(app, "dev", "--port", "0", *state) as server:
        assert server.get("").json() == ["a", "b"]
        with pywrangler(
            app, "d1", "execute", "DB", "--local", "--command", "DELETE FROM quotes", *state
        ) as command:
            assert command.wait() == 0
        assert server.get("").json() == []


def test_without_a_port_the_next_free_one_is_taken(app):
    """A second project is run beside a first one on 8787."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        with pywrangler(app, "dev", "--ip", "127.0.0.1") as server:
            assert server.get("version").text == "one"
            assert ":8787" not in server.url


@pytest.mark.foreign
def test_the_extra_brings_the_command_and_nothing_else_does(tmp_path):
    """From a checkout, with pip: a distribution of its own has the console script."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", tmp_path, f"{ROOT}[pywrangler]"],
        check=True,
    )
    scripts = {}
    for name in ("perdure", "perdure_pywrangler"):
        (wheel,) = tmp_path.glob(f"{name}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (entry_points,) = (path for path in archive.namelist() if path.endswith("entry_points.txt"))
            (metadata,) = (path for path in archive.namelist() if path.endswith("METADATA"))
            scripts[name] = archive.read(entry_points).decode()
            if name == "perdure":
                assert "extra == 'pywrangler'" in archive.read(metadata).decode()
    assert "pywrangler = perdure._cli.pywrangler:main" in scripts["perdure_pywrangler"]
    assert "pywrangler" not in scripts["perdure"]
