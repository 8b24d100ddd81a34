"""`perdure serve` and `perdure dev --no-reload` as real processes."""

from __future__ import annotations

import json
import signal
import socket

import httpx
import pytest
from cli_process import APP, Perdure, eventually, in_thread


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def serve(app, *arguments, **environment):
    return Perdure("serve", "--port", "0", *arguments, cwd=app, **environment)


def test_state_is_kept_over_a_restart(app):
    """Beside the application, in `.perdure`."""
    for expected in ("1", "2"):
        with serve(app) as server:
            assert server.get("hit").text == expected
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
    assert (app / ".perdure" / "classes.json").is_file()


def test_confirmed_state_survives_kill_9(app):
    """Nothing was said at the end."""
    for expected in ("1", "2"):
        with serve(app) as server:
            assert server.get("hit").text == expected
            server.process.kill()
            server.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_finished_before_the_end(app, number):
    """Drained, and exit code 0."""
    with serve(app) as server:
        slow = in_thread(server.get, "slow")
        server.wait_for("slow began")
        server.signal(number)
        assert slow.result().text == "ok"
        assert server.wait() == 0


def test_a_second_ctrl_c_ends_at_once(app):
    """By the signal itself: shells show 130."""
    with serve(app) as server:
        running = in_thread(server.get, "block")
        server.wait_for("block began")
        server.signal(signal.SIGINT)
        eventually(lambda: refuses(server), "the end of accepting")
        server.signal(signal.SIGINT)
        assert server.wait() in {130, -signal.SIGINT}
        with pytest.raises(httpx.HTTPError):
            running.result()


def refuses(server):
    try:
        server.get("version")
    except httpx.ConnectError:
        return True
    return False


def test_the_drain_time_is_a_limit(app):
    """A request that never ends does not keep the process."""
    with serve(app, "--drain", "0.2") as server:
        running = in_thread(server.get, "block")
        server.wait_for("block began")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert running.result().status_code == 503


def test_every_request_is_one_line(app):
    """Method, path, status, milliseconds; no colours without a terminal."""
    with serve(app) as server:
        server.get("hit?x=1")
        server.wait_for(r"(?m)^GET /hit 200 [\d.]+ ms$")
        assert "\x1b" not in server.output


def test_what_objects_print_and_log_is_marked(app):
    """With class and name."""
    with serve(app) as server:
        server.get("say")
        server.wait_for(r"(?m)^\[Counter\(home\)\] hello$")
        server.wait_for(r"(?m)^\[Counter\(home\)\] warning counter: logged hello$")


def test_json_lines_are_all_json(app):
    """The line that says where, requests, prints and log records."""
    with Perdure("serve", "--port", "0", "--log-format", "json", cwd=app) as server:
        url = server.wait_for(r'"url": "(http://[^"]+)"')[1]
        httpx.get(f"{url}/say", verify=False)
        httpx.get(f"{url}/fail", verify=False)
        server.wait_for('"status": 500')
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        records = [json.loads(line) for line in server.output.splitlines()]
    assert {"event": "ready", "level": "info", "url": url}.items() <= records[0].items()
    by_message = {record.get("message"): record for record in records}
    assert by_message["hello"]["object"] == "Counter(home)"
    assert by_message["logged hello"]["level"] == "warning"
    failed = next(record for record in records if record.get("status") == 500)
    assert (failed["method"], failed["path"], failed["level"]) == ("GET", "/fail", "error")
    assert "ZeroDivisionError" in failed["exception"]


def test_a_failing_request_shows_nothing_internal_to_the_client(app):
    """A reference, which the terminal shows with the user's own lines."""
    with serve(app) as server:
        answer = server.get("fail")
        assert answer.status_code == 500
        assert "ZeroDivisionError" not in answer.text
        assert "app.py" not in answer.text
        reference = server.wait_for(r"reference (\w+)")[1]
        assert reference in answer.text
        assert "ZeroDivisionError: division by zero" in server.output
        assert "app.py:35 in fetch  await counter.fail()" in server.output
        assert "_engine" not in server.output


def test_dev_shows_what_broke(app):
    """To the client too."""
    with Perdure("dev", "--no-reload", "--port", "0", cwd=app) as server:
        answer = server.get("fail")
        assert answer.status_code == 500
        assert "ZeroDivisionError" in answer.text
        assert "await counter.fail()" in answer.text


def test_a_handler_that_exits_is_one_failed_request(app):
    """The process goes on."""
    text = APP.replace("return Response(str(self.env.GREETING))", "raise SystemExit(3)")
    (app / "app.py").write_text(text)
    with serve(app) as server:
        assert server.get("var").status_code == 500
        assert server.get("hit").text == "1"


def test_variables_come_from_files_and_the_command_line(app):
    """The command line wins."""
    (app / ".dev.vars").write_text('GREETING="hello\nworld"')
    with serve(app) as server:
        assert server.get("var").text == "hello\nworld"
    with serve(app, "--var", "GREETING:hi") as server:
        assert server.get("var").text == "hi"


def test_settings_come_from_the_environment(app):
    """`PERDURE_DATA`; a mistyped one is told."""
    with serve(app, PERDURE_DATA="state", PERDURE_DRIAN="1") as server:
        server.get("hit")
        server.wait_for(r'warning\[config/unknown-variable\](.|\n)*did you mean "PERDURE_DRAIN"\?')
    assert (app / "state" / "classes.json").is_file()
    assert not (app / ".perdure").exists()


def test_assets_are_served_before_the_worker_is_asked(app):
    """Everything else goes to it."""
    (app / "public").mkdir()
    (app / "public" / "page.html").write_text("<h1>hello</h1>")
    (app / "wrangler.toml").write_text('main = "app.py"\n[assets]\ndirectory = "public"\n')
    with serve(app) as server:
        answer = server.get("page")
        assert (answer.text, answer.headers["content-type"]) == ("<h1>hello</h1>", "text/html; charset=utf-8")
        assert server.get("hit").text == "1"


def test_a_body_over_the_limit_is_refused(app):
    """Before the application sees it."""
    with serve(app, "--max-body", "1KB") as server:
        assert httpx.post(f"{server.url}/hit", content=b"x" * 1001).status_code == 413
        assert server.get("hit").text == "1"


def test_a_disk_that_fails_ends_the_process_with_74(app):
    """Nothing more could be confirmed; the reason is told."""
    text = APP.replace(
        "return Response(str(self.env.GREETING))",
        "files._DATASYNC = broken; return Response(str(await counter.hit()))",
    )
    broken = "def broken(fd):\n    raise OSError(5, 'Input/output error')\n"
    (app / "app.py").write_text(f"from perdure._storage import files\n{broken}{text}")
    with serve(app) as server:
        assert server.get("hit").text == "1"
        try:
            assert server.get("var").status_code == 500
        except httpx.HTTPError:
            pass  # the process may be faster than its answer
        assert server.wait() == 74
        assert "error[storage/failed]" in server.output
        assert "Traceback" not in server.output
    (app / "app.py").write_text(APP)
    with serve(app) as server:
        assert server.get("hit").text in {"2", "3"}


# --- mistakes -------------------------------------------------------------------------------------------


def refused(app, *arguments):
    """Run a command that cannot start; return its exit code and output."""
    with Perdure(*arguments, cwd=app) as server:
        code = server.wait()
        assert "Traceback" not in server.output
        return code, server.output


@pytest.mark.parametrize("command", [["serve"], ["dev", "--no-reload"], ["dev"]])
@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"wrangler.toml": "main = "}, "config/syntax"),
        ({"wrangler.toml": 'main = "no.py"'}, "config/missing-file"),
        ({"wrangler.toml": 'main = "app.py"\nname = 3'}, "config/wrong-type"),
    ],
)
def test_a_mistake_in_the_configuration_is_exit_code_1(app, command, files, code):
    """In the one form, with its place."""
    for name, text in files.items():
        (app / name).write_text(text)
    status, output = refused(app, *command, "--port", "0")
    assert status == 1
    assert f"error[{code}]" in output
    assert "--> wrangler.toml:" in output


@pytest.mark.parametrize("command", [["serve"], ["dev", "--no-reload"]])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(:\n", "app/syntax-error"),
        ("1 / 0\n", "app/import-failed"),
        ("import no_module_of_this_name\n", "app/import-failed"),
        ("raise SystemExit(5)\n", "app/import-failed"),
        ("class Default: pass\n", "app/not-a-worker"),
    ],
)
def test_a_mistake_in_the_application_is_exit_code_1(app, command, text, code):
    """With the user's line, and no frame of ours."""
    (app / "app.py").write_text(text)
    status, output = refused(app, *command, "--port", "0")
    assert status == 1
    assert f"error[{code}]" in output
    assert "--> app.py:1" in output
    assert "_config/" not in output


@pytest.mark.parametrize("command", [["serve"], ["dev", "--no-reload"], ["dev"]])
def test_a_port_in_use_is_told_with_a_free_one(app, command):
    """Exit code 1, nothing touched."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = refused(app, *command, "--port", str(port))
    assert status == 1
    assert "error[cli/port-in-use]" in output
    assert "is free: --port" in output
    assert not (app / ".perdure").exists()


def test_a_data_folder_in_use_is_told(app):
    """With what to do about it."""
    with serve(app) as first:
        assert first.get("hit").text == "1"
        status, output = refused(app, "serve", "--port", "0")
        assert status == 1
        assert "error[data/in-use]" in output
        assert str(first.process.pid) in output
        assert first.get("hit").text == "2"


def test_a_data_folder_that_is_a_file_is_told(app):
    """Not a traceback of the operating system's error."""
    (app / "state").write_text("")
    status, output = refused(app, "serve", "--port", "0", "--data", "state")
    assert status == 1
    assert "error[data/" in output


def test_a_class_that_vanished_is_refused_and_nothing_is_touched(app):
    """With it back, all is there."""
    with serve(app) as server:
        server.get("hit")
    before = (app / ".perdure" / "classes.json").read_bytes()
    (app / "app.py").write_text(APP.replace("Counter", "Counters").replace("env.COUNTER.", "env.COUNTERS."))
    status, output = refused(app, "serve", "--port", "0")
    assert status == 1
    assert "error[config/class-vanished]" in output
    assert 'did you mean "Counters"?' in output
    assert (app / ".perdure" / "classes.json").read_bytes() == before
    (app / "app.py").write_text(APP)
    with serve(app) as server:
        assert server.get("hit").text == "2"


@pytest.mark.rows("MIG-05")
def test_a_renamed_class_keeps_its_objects(app):
    """The migration is applied once."""
    config = {
        "name": "app",
        "main": "app.py",
        "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
    }
    (app / "wrangler.json").write_text(json.dumps(config))
    with serve(app) as server:
        assert server.get("hit").text == "1"
    config["migrations"].append({"tag": "v2", "renamed_classes": [{"from": "Counter", "to": "Clicks"}]})
    (app / "wrangler.json").write_text(json.dumps(config))
    (app / "app.py").write_text(APP.replace("Counter", "Clicks").replace("env.COUNTER.", "env.CLICKS."))
    for expected in ("2", "3"):
        with serve(app) as server:
            assert server.get("hit").text == expected


@pytest.mark.rows("MIG-07")
def test_a_deleted_class_loses_its_objects(app):
    """A class of the same name begins anew."""
    config = {
        "name": "app",
        "main": "app.py",
        "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
    }
    (app / "wrangler.json").write_text(json.dumps(config))
    with serve(app) as server:
        assert server.get("hit").text == "1"
    config["migrations"] += [
        {"tag": "v2", "deleted_classes": ["Counter"]},
        {"tag": "v3", "new_sqlite_classes": ["Counter"]},
    ]
    (app / "wrangler.json").write_text(json.dumps(config))
    with serve(app) as server:
        assert server.get("hit").text == "1"


def test_a_start_that_is_refused_is_told_as_json_too(app):
    """Whoever reads the log reads this as well."""
    (app / "app.py").write_text("x = (\n")
    with Perdure("serve", "--log-format", "json", cwd=app) as server:
        assert server.wait() == 1
        (record,) = [json.loads(line) for line in server.output.splitlines()]
    assert {"event": "problem", "level": "error", "code": "app/syntax-error"}.items() <= record.items()


def test_what_is_printed_into_a_pipe_leaves_at_once(app):
    """Nobody wants to wait for a full buffer."""
    (app / "app.py").write_text(
        APP.replace('print("slow began", flush=True)', 'print("slow began, \\udcff")')
    )
    with serve(app) as server:
        running = in_thread(server.get, "slow")
        server.wait_for(r"slow began, \\udcff")
        assert running.result().text == "ok"


def test_reload_can_be_turned_off_in_the_environment(app):
    """`PERDURE_RELOAD=0`: one process."""
    with Perdure("dev", "--port", "0", cwd=app, PERDURE_RELOAD="0") as server:
        assert server.get("pid").text == str(server.process.pid)


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ([], "https://front/ 1.2.3.4"),
        (["--no-proxy-headers"], "http://h/ 127.0.0.1"),
        (["--forwarded-allow-ips", "10.0.0.0/8"], "http://h/ 127.0.0.1"),
        (["--health-path", "/"], "ok"),
    ],
)
def test_options_say_which_proxies_are_believed_and_where_health_is(tmp_path, arguments, seen):
    """By default those on this machine, and a path no application has."""
    (tmp_path / "app.py").write_text(
        "from perdure import Response, WorkerEntrypoint\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response(f'{request.url} {request.client.host}')\n"
    )
    with serve(tmp_path, *arguments) as server:
        headers = {
            "host": "h",
            "x-forwarded-proto": "https",
            "x-forwarded-for": "1.2.3.4",
            "x-forwarded-host": "front",
        }
        assert httpx.get(server.url, headers=headers, verify=False).text.strip() == seen


def test_options_bound_what_the_server_takes_at_a_time(app):
    """One more is told 503."""
    with serve(app, "--max-requests", "1", "--max-connections", "2") as server:
        slow = in_thread(server.get, "slow")
        server.wait_for("slow began")
        with httpx.Client(verify=False) as second, httpx.Client(verify=False) as third:
            for client, what in ((second, "requests are in progress"), (third, "connections are open")):
                answer = client.get(f"{server.url}/version")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert what in answer.text
        assert slow.result().text == "ok"
