"""The pytest plugin in sessions of its own: with pytest-asyncio, anyio, unittest, and with nothing of the kind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from perdure import DurableObject, Response, WorkerEntrypoint

class Counter(DurableObject):
    async def hit(self):
        n = self.ctx.storage.kv.get("n", 0) + 1
        self.ctx.storage.kv.put("n", n)
        return n

    async def set_alarm(self):
        self.ctx.storage.set_alarm(4_000_000_000)

    async def alarm(self):
        pass

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json({"n": await self.env.COUNTER.get_by_name("web").hit()})
"""
TESTS = """
async def test_one(perdure):
    assert await perdure.env.COUNTER.get_by_name("web").hit() == 1
    assert await (await perdure.fetch("/")).json() == {"n": 2}

class TestInAClass:
    async def test_two(self, perdure, tmp_path):
        assert tmp_path.exists()
        assert await perdure.env.COUNTER.get_by_name("web").hit() == 1

def test_a_plain_one():
    pass
"""


class Session:
    """A folder with an application and tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text = ""

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, *options: str, config: str = "") -> dict[str, int]:
        """Run pytest; return how many tests came out how."""
        self.write("pytest.ini", f"[pytest]\n{config}\n")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-W",
            "error::ResourceWarning",
            *options,
        ]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=100)
        self.text = done.stdout + done.stderr
        *_, last = done.stdout.strip().splitlines() or [""]
        return {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", last.partition(" in ")[0])}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session(tmp_path)
    session.write("app.py", APP)
    return session


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_it_works_with_pytest_asyncio(session: Session, mode: str):
    marked = "" if mode == "auto" else "import pytest\npytestmark = pytest.mark.asyncio\n"
    own_fixture = """
import pytest_asyncio

@pytest_asyncio.fixture
async def counter(perdure):
    async with perdure:
        yield perdure.env.COUNTER.get_by_name("web")
        assert await perdure.env.COUNTER.get_by_name("web").hit() == 3

async def test_with_a_fixture(counter, perdure):
    assert await counter.hit() == 1
    assert await (await perdure.fetch("/")).json() == {"n": 2}
"""
    session.write("test_app.py", marked + TESTS + own_fixture)
    options = ["-W", "ignore::pytest.PytestWarning"]  # the mark on the plain test, in strict mode
    assert session.run(*options, config=f"asyncio_mode = {mode}") == {"passed": 4}, session.text


def test_it_works_with_anyio(session: Session):
    session.write(
        "test_app.py",
        "import pytest\npytestmark = pytest.mark.anyio\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
        + TESTS
        + """
@pytest.fixture
async def counter(perdure):
    async with perdure:
        yield perdure.env.COUNTER.get_by_name("web")

async def test_with_a_fixture(counter, perdure):
    assert await counter.hit() == 1
    assert await (await perdure.fetch("/")).json() == {"n": 2}
""",
    )
    assert session.run("-p", "no:asyncio") == {"passed": 4}, session.text


def test_it_works_with_unittest_and_with_asyncio_alone(session: Session):
    session.write(
        "test_app.py",
        """
import asyncio
import unittest
from app import Counter, Default
from perdure import testing

class CounterTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.app = await self.enterAsyncContext(testing.runtime(Counter, Default))

    async def test_one(self):
        self.assertEqual(await self.app.env.COUNTER.get_by_name("a").hit(), 1)

    async def test_other(self):
        self.assertEqual(await self.app.env.COUNTER.get_by_name("a").hit(), 1)

def test_alone():
    async def main():
        async with testing.runtime(Counter, Default) as app:
            assert await (await app.fetch("/")).json() == {"n": 1}
    asyncio.run(main())

def test_with_the_fixture(perdure):
    async def main():
        async with perdure:
            assert await perdure.env.COUNTER.get_by_name("a").hit() == 1
    asyncio.run(main())
""",
    )
    assert session.run() == {"passed": 4}, session.text
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "-q", "test_app"],
        cwd=session.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_markers_options_and_the_configuration_say_what_the_application_is(session: Session):
    session.write(
        "test_app.py",
        """
import pytest
from app import Counter, Default

pytestmark = [pytest.mark.asyncio, pytest.mark.perdure(classes=[Default], vars={"A": 1, "B": 1})]

async def test_a_module(perdure):
    assert list(perdure.env) == ["A", "B"]

@pytest.mark.perdure(classes=[Counter], bindings={"CLICKS": Counter}, vars={"A": 2})
async def test_the_innermost_wins(perdure):
    assert list(perdure.env) == ["A", "CLICKS"]

@pytest.mark.perdure(config="other/wrangler.json")
async def test_a_file(perdure):
    assert dict(perdure.env)["FROM"] == "the file"
""",
    )
    session.write(
        "test_configured.py",
        "import pytest\n@pytest.mark.asyncio\nasync def test_it(perdure):\n    assert 'FROM' in perdure.env\n",
    )
    (session.folder / "other").mkdir()
    session.write("other/other.py", APP)
    session.write("other/wrangler.json", '{"name": "o", "main": "other.py", "vars": {"FROM": "the file"}}')
    assert session.run("--perdure-config", "other") == {"passed": 4}, session.text
    assert session.run(config="perdure_config = other/wrangler.json") == {"passed": 4}, session.text
    assert session.run() == {"passed": 3, "failed": 1}, session.text


def test_mistakes_are_told_without_a_traceback(session: Session):
    session.write(
        "test_app.py",
        """
import pytest

@pytest.mark.perdure(config="nowhere.json")
def test_no_file(perdure):
    pass

@pytest.mark.perdure(1)
def test_positional(perdure):
    pass

def test_not_started(perdure):
    perdure.env
""",
    )
    assert session.run() == {"failed": 1, "errors": 2}, session.text
    assert "nowhere.json" in session.text
    assert "the marker perdure takes keywords alone" in session.text
    assert "The test runtime is not running" in session.text
    assert "harness.py" not in session.text.partition("test_not_started")[0]


def test_strict_fails_what_leaves_alarms_and_a_failing_test_shows_the_logs(session: Session):
    session.write(
        "test_app.py",
        """
import pytest
from perdure import testing

pytestmark = pytest.mark.asyncio

async def test_leaves_an_alarm(perdure):
    await perdure.env.COUNTER.get_by_name("a").set_alarm()

@pytest.mark.perdure(strict=False)
async def test_may_leave_one(perdure):
    await perdure.env.COUNTER.get_by_name("a").set_alarm()

async def test_fails(perdure):
    await perdure.env.COUNTER.get_by_name("a").hit()
    await testing.evict_all_durable_objects()
    assert False
""",
    )
    assert session.run(config="perdure_strict = true") == {"failed": 2, "passed": 1}, session.text
    assert "Counter(a) has an alarm at" in session.text
    assert "object evicted Counter(a)" in session.text


def test_the_state_of_a_failed_test_can_be_kept_and_looked_at(session: Session):
    session.write(
        "test_app.py",
        """
import pytest

@pytest.mark.asyncio
async def test_fails(perdure):
    await perdure.env.COUNTER.get_by_name("home").hit()
    assert False
""",
    )
    assert session.run("--perdure-keep-state", "--basetemp", str(session.folder / "base")) == {"failed": 1}
    command = re.search(r"^perdure (objects --data .*)$", session.text, re.MULTILINE)
    assert command is not None, session.text
    done = subprocess.run(
        [sys.executable, "-m", "perdure", *command[1].split()], capture_output=True, text=True, timeout=60
    )
    assert "home" in done.stdout, done.stderr


def test_a_session_without_it_imports_nothing_of_the_runtime(session: Session):
    session.write(
        "test_app.py",
        "import sys\ndef test_it():\n"
        "    ours = sorted(name for name in sys.modules if name.startswith('perdure'))\n"
        "    assert ours == ['perdure', 'perdure._base', 'perdure._base.lazy', 'perdure.testing', 'perdure.testing.plugin']\n"
        "    assert 'apsw' not in sys.modules\n",
    )
    assert session.run() == {"passed": 1}, session.text


@pytest.mark.parametrize("template", ["counter", "booking", "chat", "shared_list"])
def test_a_new_application_is_tested_by_plain_pytest(template: str, tmp_path: Path):
    """`perdure init` brings tests that need nothing but pytest, in the folder and from above."""
    perdure = [sys.executable, "-m", "perdure", "init", "my-app", "--template", template]
    told = subprocess.run(perdure, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "Test it:   pytest my-app" in told.stdout, told.stderr
    session = Session(tmp_path / "my-app")
    assert session.run("-p", "no:asyncio", "-p", "no:anyio") == {"passed": 4}, session.text


def test_the_application_is_the_one_nearest_above_the_test(session: Session):
    session.write("app.py", APP.replace("Counter(", "Outer("))
    inner = session.folder / "inner" / "tests"
    inner.mkdir(parents=True)
    (inner.parent / "main.py").write_text(APP)
    (inner / "test_inner.py").write_text(
        "async def test_it(perdure):\n    assert list(perdure.env) == ['COUNTER']\n"
    )
    session.write("test_outer.py", "async def test_it(perdure):\n    assert list(perdure.env) == ['OUTER']\n")
    assert session.run("-p", "no:asyncio") == {"passed": 2}, session.text


SIMULATED = """
from perdure.testing import explore, simulated
from app import Counter

@explore(Counter, seeds=5)
async def test_seeds(sim):
    print("seed", sim.seed)
    assert sim.seed != 3

@simulated(Counter)
async def test_one_seed(sim):
    print("one seed", sim.seed)
    assert await sim.env.COUNTER.get_by_name("a").hit() == 1
"""


SIMULATED_APPLICATION = """
from perdure.testing import simulated

@simulated()
async def test_the_application_above(sim):
    assert list(sim.env) == ["COUNTER"]
    assert await (await sim.fetch("/")).json() == {"n": 1}

@simulated(config="other.py")
async def test_a_file_beside_the_test(sim):
    await sim.env.OTHER.get_by_name("a").set_alarm()
"""


def test_a_simulated_test_finds_its_application_as_the_fixture_does(session):
    """The nearest above it, what its `config` names from its folder, or an option; `perdure_strict` is for it too."""
    (session.folder / "tests").mkdir()
    session.write("tests/test_sim.py", SIMULATED_APPLICATION)
    session.write("tests/other.py", APP.replace("Counter(", "Other("))
    assert session.run() == {"passed": 2}, session.text
    options = "perdure_config = tests/other.py\nperdure_strict = true"
    assert session.run(config=options) == {"failed": 2}
    assert "assert ['OTHER'] == ['COUNTER']" in session.text
    assert "Other(a) has an alarm at 2096-10-02T07:06:40+00:00 that has not run" in session.text


def test_a_seed_that_fails_is_told_and_given_back_by_an_option(session):
    """No asyncio plugin is needed: the decorators make plain functions."""
    session.write("test_sim.py", SIMULATED)
    assert session.run() == {"failed": 1, "passed": 1}
    assert "It failed with seed 3. Replay it with --perdure-seed 3" in session.text
    assert session.run("--perdure-seeds", "3") == {"passed": 2}
    assert session.run("--perdure-seed", "4", "-s") == {"passed": 2}
    assert re.findall(r"seed \d", session.text) == ["seed 4", "seed 4"]


def test_the_examples_of_the_page_on_testing_run(session: Session):
    """Each block that names its file is that file; all their tests pass."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    files = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL)
    for name, text in files:
        session.write(name, text)
    tests = sum(text.count("def test_") for _, text in files)
    assert session.run() == {"passed": tests}, session.text
    assert tests == 11


def test_the_readmes_test_passes(tmp_path: Path):
    """On the application that the README begins with."""
    page = (Path(__file__).parents[2] / "README.md").read_text()
    session = Session(tmp_path)
    session.write("app.py", re.search(r"```python\n# app.py\n(.*?)```", page, re.DOTALL)[1])
    session.write("test_app.py", re.search(r"```python\n(async def test_.*?)```", page, re.DOTALL)[1])
    assert session.run() == {"passed": 1}, session.text
