"""The official client of Cap'n Web under Node against `perdure serve`: everything that can cross, and nothing left."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_process import Perdure
from support.npm import install

HERE = Path(__file__).parent
PACKAGES = ["capnweb@0.12", "ws@8", "node@22"]
"""Node 22 is a package too: Debian's may be older than the client needs."""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Node and the client in it."""
    return install(tmp_path_factory.mktemp("capnweb"), *PACKAGES)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "wrangler.toml").write_text(
        f"""
        name = "capnweb"
        main = "{HERE / "capnweb_app.py"}"
        [[durable_objects.bindings]]
        name = "HALL"
        class_name = "Hall"
        [[migrations]]
        tag = "v1"
        new_sqlite_classes = ["Hall"]
        """
    )
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        yield server


@pytest.mark.foreign
@pytest.mark.timeout(240)
def test_the_official_client_has_everything_it_asks_for(node, server):
    """Calls, errors, callbacks, stubs, pipelining, map, streams, every kind of value, batches; tables empty after each."""
    script = node / "client.mjs"
    shutil.copy(HERE / "capnweb_client.mjs", script)
    program = node / "node_modules" / ".bin" / "node"
    played = subprocess.run(
        [program, script, server.url], cwd=node, capture_output=True, text=True, timeout=120
    )
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}\n{server.output}"
    assert played.stdout.count("ok ") == 17, played.stdout
