"""`perdure dev`: a new version takes over, and nobody notices but by what it answers."""

from __future__ import annotations

import os
import signal
import threading

import httpx
import pytest
from cli_process import APP, Perdure, eventually, in_thread, is_alive


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def dev(app, *arguments, **environment):
    return Perdure("dev", "--port", "0", *arguments, cwd=app, **environment)


def write(app, text, name="app.py"):
    """Replace a file as editors do: at once."""
    new = app / f"saving-{name}~"
    new.write_text(text)
    new.replace(app / name)


def version(text):
    return APP.replace('VERSION = "one"', f'VERSION = "{text}"')


def test_a_saved_change_is_served_and_state_is_kept(app):
    """What changed is told; the port stays."""
    with dev(app) as server:
        assert server.get("hit").text == "1"
        assert server.get("version").text == "one"
        write(app, version("two"))
        server.wait_for(r"(?m)^Reloaded in \d+ ms: app.py changed; state is kept\.$")
        assert server.get("version").text == "two"
        assert server.get("hit").text == "2"


def test_a_change_in_the_same_second_and_of_the_same_size_is_served(app):
    """Python takes its bytecode of a file for current as long as both are the same."""
    with dev(app) as server:
        assert server.get("version").text == "one"
        saved = os.stat(app / "app.py")
        (app / "saving").write_text(version("two"))
        os.utime(app / "saving", ns=(saved.st_atime_ns, saved.st_mtime_ns))
        (app / "saving").replace(app / "app.py")
        server.wait_for("Reloaded in")
        assert server.get("version").text == "two"


def test_a_reload_never_refuses_a_connection(app):
    """New connections, one after the other and beside each other, through several reloads."""
    with dev(app) as server:
        url = server.url
        failures: list[BaseException] = []
        answers: list[int] = []
        done = threading.Event()

        def knock() -> None:
            while not done.is_set():
                try:
                    answers.append(int(httpx.get(f"{url}/hit", timeout=30, verify=False).text))
                except (httpx.HTTPError, ValueError) as error:
                    failures.append(error)

        threads = [threading.Thread(target=knock) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 4):
                write(app, version(str(number)))
                server.wait_for(r"Reloaded in", times=number)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert sorted(answers) == list(range(1, len(answers) + 1))


def test_a_request_that_runs_is_finished_by_the_old_version(app):
    """While new ones wait for the new one."""
    with dev(app) as server:
        slow = in_thread(server.get, "slow")
        server.wait_for("slow began")
        write(app, version("two"))
        server.wait_for("Reloaded in")
        assert slow.result().text == "ok"
        assert server.get("version").text == "two"


def test_a_request_that_does_not_end_is_broken_off(app):
    """After two seconds."""
    with dev(app) as server:
        stuck = in_thread(server.get, "block")
        server.wait_for("block began")
        write(app, version("two"))
        server.wait_for("Reloaded in")
        assert server.get("version").text == "two"
        assert stuck.result().status_code == 503


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{APP}\nx = (\n", "app/syntax-error"),
        (f"{APP}\n1 / 0\n", "app/import-failed"),
        (f"{APP}\nclass Default: pass\n", "app/not-a-worker"),
        (APP.replace("class Counter", "class Counters"), "config/class-vanished"),
    ],
)
def test_a_version_that_cannot_run_changes_nothing(app, text, code):
    """The error is shown, the old version serves on in the same process; the next save repairs it."""
    with dev(app) as server:
        pid = server.get("pid").text
        server.get("hit")
        write(app, text)
        server.wait_for(f"error\\[{code}\\]")
        server.wait_for("The version from before goes on serving.")
        assert server.get("pid").text == pid
        assert server.get("hit").text == "2"
        assert "Traceback" not in server.output
        write(app, version("repaired"))
        server.wait_for("Reloaded in")
        assert server.get("version").text == "repaired"
        assert server.get("hit").text == "3"


def test_a_broken_configuration_changes_nothing(app):
    """Read anew at each reload."""
    with dev(app, "--var", "GREETING:x") as server:
        assert server.get("hit").text == "1"
        write(app, '{"main": "app.py", "name": "app", }', "wrangler.jsonc")
        server.wait_for("Reloaded in")
        write(app, '{"main": ', "wrangler.jsonc")
        server.wait_for(r"error\[config/syntax\]")
        server.wait_for("The version from before goes on serving.")
        assert server.get("hit").text == "2"


def test_variables_are_read_anew(app):
    """A change of `.dev.vars` is a change of the application."""
    (app / ".dev.vars").write_text("GREETING=one")
    with dev(app) as server:
        assert server.get("var").text == "one"
        write(app, "GREETING=two", ".dev.vars")
        server.wait_for(r"Reloaded in \d+ ms: \.dev\.vars changed")
        assert server.get("var").text == "two"


def test_modules_beside_the_main_one_are_watched_and_data_is_not(app):
    """In folders too; pages and state change nothing."""
    (app / "lib").mkdir()
    (app / "lib" / "__init__.py").write_text("")
    (app / "lib" / "words.py").write_text('WORD = "one"\n')
    write(app, APP.replace('VERSION = "one"', "from lib.words import WORD as VERSION"))
    with dev(app, "--data", "state") as server:
        assert server.get("version").text == "one"
        for expected in range(1, 20):
            assert server.get("hit").text == str(expected)
        (app / "notes.txt").write_text("x")
        (app / "state" / "x.py").write_text("x")
        (app / "lib" / "words.py").write_text('WORD = "two"\n')
        server.wait_for(r"Reloaded in \d+ ms: lib/words.py changed")
        assert server.get("version").text == "two"
        assert server.output.count("Reloaded") == 1


def test_a_start_that_fails_waits_for_a_repair(app):
    """A mistake in the code is no reason to begin again."""
    write(app, "x = (\n")
    with dev(app) as server:
        server.wait_for(r"error\[app/syntax-error\]")
        server.wait_for("Waiting for a change of the files.")
        write(app, APP)
        assert server.get("hit").text == "1"


def test_the_application_may_move_between_saves_while_it_is_imported(app):
    """Only the newest version takes over."""
    with dev(app) as server:
        assert server.get("version").text == "one"
        write(app, "import time\ntime.sleep(3600)\n")
        # The import of that one never ends; the next save replaces it.
        eventually(lambda: len(children(server.process.pid)) > 1, "a second process")
        write(app, version("three"))
        server.wait_for("Reloaded in")
        assert server.get("version").text == "three"
        eventually(lambda: len(children(server.process.pid)) == 1, "one process")


def test_a_crash_is_told_and_repaired_by_the_next_change(app):
    """What was confirmed is there."""
    with dev(app) as server:
        assert server.get("hit").text == "1"
        os.kill(int(server.get("pid").text), signal.SIGKILL)
        server.wait_for(r"error\[dev/crashed\]: the server process was ended by SIGKILL")
        write(app, version("two"))
        server.wait_for("Reloaded in")
        assert server.get("hit").text == "2"


def test_an_application_that_ends_its_process_while_it_is_imported_is_told(app):
    """`os._exit` cannot be caught."""
    with dev(app) as server:
        assert server.get("hit").text == "1"
        write(app, "import os\nos._exit(7)\n")
        server.wait_for("ended with exit code 7 while it imported the application")
        assert server.get("hit").text == "2"


def test_ctrl_c_ends_everything_cleanly(app):
    """Sent to the whole group, as a terminal does."""
    with dev(app) as server:
        pid = int(server.get("pid").text)
        server.signal(signal.SIGINT, group=True)
        assert server.wait() == 0
        assert not is_alive(pid)
        assert "Traceback" not in server.output


def test_sigterm_ends_everything_cleanly(app):
    """Sent to the supervisor alone."""
    with dev(app) as server:
        pid = int(server.get("pid").text)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not is_alive(pid)


def test_a_second_ctrl_c_ends_at_once(app):
    """With exit code 130, whatever the application does."""
    write(app, APP.replace("await asyncio.sleep(600)", "import time; time.sleep(600)"))
    with dev(app, "--slow-ms", "0") as server:
        pid = int(server.get("pid").text)
        in_thread(lambda: pytest.raises(httpx.HTTPError, server.get, "block"))
        server.wait_for("block began")
        server.signal(signal.SIGINT, group=True)
        server.wait_for("Ctrl-C again ends at once")
        server.signal(signal.SIGINT, group=True)
        assert server.wait() == 130
        eventually(lambda: not is_alive(pid), "the end of the server process")


@pytest.mark.parametrize("blocked", [False, True])
def test_the_server_ends_when_the_supervisor_is_killed(app, blocked):
    """Also when the application blocks its event loop for ever."""
    write(app, APP.replace("await asyncio.sleep(600)", "import time; time.sleep(600)"))
    with dev(app, "--slow-ms", "0") as server:
        pid = int(server.get("pid").text)
        if blocked:
            in_thread(lambda: pytest.raises(httpx.HTTPError, server.get, "block"))
            server.wait_for("block began")
        server.process.kill()
        eventually(lambda: not is_alive(pid), "the end of the server process")
    with dev(app) as server:
        assert server.get("hit").text == "1"


def test_a_data_folder_in_use_is_told_and_tried_again(app):
    """At the next change."""
    with Perdure("serve", "--port", "0", cwd=app) as other:
        assert other.get("hit").text == "1"
        with dev(app) as server:
            server.wait_for(r"error\[data/in-use\]")
            server.wait_for("Waiting for a change of the files.")
            other.signal(signal.SIGTERM)
            assert other.wait() == 0
            write(app, version("two"))
            assert server.get("hit").text == "2"


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    from pathlib import Path

    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in path.read_text().split()]
    return [child for child in found if is_alive(child)]
