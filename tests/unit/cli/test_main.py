"""The command `perdure`: options in, exit code out, one form of errors."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

from perdure._cli.main import cli, run_command
from perdure._config.settings import SETTINGS, of_command
from perdure._storage.layout import Layout

APP = """\
from perdure import DurableObject, WorkerEntrypoint

class Counter(DurableObject):
    pass

class Default(WorkerEntrypoint):
    pass
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_without_a_command_the_help_is_shown(capsys):
    """And nothing is wrong."""
    assert run_command([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_one_line(capsys):
    """For bug reports."""
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.startswith("perdure 0.")


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_each_command_has_the_options_of_the_table_and_no_others(command):
    """The table is what the reference is checked against."""
    options = {
        option for param in cli.commands[command].params for option in (*param.opts, *param.secondary_opts)
    }
    wanted = {setting.option for setting in of_command(command)}
    assert wanted <= options
    on = {setting.option.replace("no-", "", 1) for setting in of_command(command) if setting.is_flag_off}
    assert {option for option in options if option.startswith("--")} - wanted == on


def test_each_setting_is_an_option_of_some_command():
    """No row is dead."""
    assert all(setting.commands for setting in SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["serv"], "usage/no-such-command", 'did you mean "serve"?'),
        (["dev", "--prot", "1"], "usage/no-such-option", 'did you mean "--port"?'),
        (["dev", "--port", "x"], "usage/argument", "'x' is not a valid"),
        (["dev", "--port", "70000"], "usage/argument", "70000"),
        (["dev", "a", "b"], "usage/argument", "b"),
        (["serve", "--max-body", "big"], "usage/argument", "write it like 500000"),
        (["serve", "--log-format", "xml"], "usage/argument", "text"),
        (["init", "--template", "x"], "usage/argument", "counter"),
        (["check", "app.py", "--var", "x"], "usage/var", "NAME:VALUE"),
        (["serve", "--port"], "usage/argument", "--port"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments, code, words, capsys):
    """With the nearest right name, in the one form of errors."""
    pathlib.Path("app.py").write_text(APP)
    assert run_command(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error[{code}]: ")
    assert words in shown


def test_an_option_can_come_from_the_environment(monkeypatch, capsys):
    """`PERDURE_PORT=x` is as wrong as `--port x`."""
    monkeypatch.setenv("PERDURE_PORT", "x")
    assert run_command(["serve"]) == 2
    assert "PERDURE_PORT" in capsys.readouterr().err


# --- check ----------------------------------------------------------------------------------------------


def test_check_of_a_good_application_is_exit_code_0(capsys):
    """And tells what the next start would do."""
    pathlib.Path("app.py").write_text(APP)
    assert run_command(["check"]) == 0
    assert capsys.readouterr().out == (
        "app: 1 binding, all classes are there\n  the next start creates class Counter with the unique key app-Counter\n"
    )
    assert not pathlib.Path(".perdure").exists()


def test_check_shows_every_problem_and_exits_with_1(capsys):
    """Warnings too."""
    pathlib.Path("app.py").write_text(APP)
    pathlib.Path("wrangler.jsonc").write_text(
        '{"main": "app.py", "compat_date": "x", "durable_objects": {"bindings": ['
        '{"name": "A", "class_name": "Countr"}, {"name": "B", "class_name": "Room"}]}}'
    )
    assert run_command(["check"]) == 1
    shown = capsys.readouterr().err
    assert shown.count("error[config/missing-class]") == 2
    assert "warning[config/unknown-key]" in shown
    assert shown.endswith("\n2 errors, 1 warning\n")


def test_check_of_a_folder_that_does_not_fit_tells_it(capsys):
    """The record of the data folder is looked at, not changed."""
    pathlib.Path("app.py").write_text(APP)
    pathlib.Path("state").mkdir()
    record = pathlib.Path("state/classes.json")
    text = json.dumps(
        {
            "version": 1,
            "mode": "implicit",
            "tags": [],
            "classes": {"Counters": {"unique_key": "app-Counters", "storage": "sqlite"}},
        }
    )
    record.write_text(text)
    objects = pathlib.Path(Layout("state").namespace("app-Counters"))
    (objects / "00").mkdir(parents=True)
    assert run_command(["check", "--data", "state"]) == 1
    shown = capsys.readouterr().err
    assert "error[config/class-vanished]" in shown
    assert 'did you mean "Counter"?' in shown
    assert record.read_text() == text


def test_check_of_a_damaged_data_folder_is_a_problem(capsys):
    """No traceback."""
    pathlib.Path("app.py").write_text(APP)
    pathlib.Path(".perdure").mkdir()
    pathlib.Path(".perdure/classes.json").write_text("{")
    assert run_command(["check"]) == 1
    assert "error[data/unusable]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (APP, 0),
        (APP + "\nx = (", 1),
        ("import nothing_of_this_name", 1),
        ("", 0),
    ],
)
def test_check_as_json_says_the_same(text, code, capsys):
    """For editors and CI."""
    pathlib.Path("app.py").write_text(text)
    assert run_command(["check", "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == 0)
    if text == APP:
        assert answer == {
            "ok": True,
            "problems": [],
            "name": "app",
            "bindings": {"COUNTER": "Counter"},
            "steps": ["creates class Counter with the unique key app-Counter"],
        }


def test_check_of_a_broken_configuration_as_json(capsys):
    """Nothing but JSON on standard output."""
    pathlib.Path("wrangler.json").write_text("{")
    assert run_command(["check", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["problems"][0]["code"] == "config/syntax"
    assert answer["name"] is None


# --- init -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["counter", "booking", "chat", "shared_list"])
def test_init_writes_an_application_that_check_accepts(template, capsys):
    """Every template."""
    assert run_command(["init", "my-app", "--template", template]) == 0
    assert "perdure dev my-app" in capsys.readouterr().out
    assert ".perdure*/" in pathlib.Path("my-app/.gitignore").read_text()
    assert run_command(["check", "my-app"]) == 0


def test_init_never_overwrites(capsys):
    """Nothing at all is written then."""
    pathlib.Path("app.py").write_text("mine")
    assert run_command(["init"]) == 1
    assert "error[cli/file-exists]" in capsys.readouterr().err
    assert pathlib.Path("app.py").read_text() == "mine"
    assert not pathlib.Path(".gitignore").exists()


def test_init_keeps_a_gitignore_that_is_there(capsys):
    """A repository often begins with one."""
    pathlib.Path(".gitignore").write_text("mine")
    assert run_command(["init"]) == 0
    assert pathlib.Path(".gitignore").read_text() == "mine"


def test_init_into_a_file_is_a_problem(capsys):
    """Not a traceback."""
    pathlib.Path("x").write_text("")
    assert run_command(["init", "x"]) == 1
    assert "error[cli/not-a-folder]" in capsys.readouterr().err
