"""The command `pywrangler`: what it leaves out, and what it refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import perdure
from perdure._cli.pywrangler import in_perdures_words, meant, run_command

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("dev --port 80 --local", "dev --port 80"),
        ("dev -l --test-scheduled --port=80", "dev --port=80"),
        ("dev --inspector-port 9229 --ip ::1", "dev --ip ::1"),
        ("dev --inspector-port=9229 --ip ::1", "dev --ip ::1"),
        ("dev --live-reload=false --port 80", "dev --port 80"),
        ("dev --minify false --port 80", "dev --port 80"),
        ("dev --no-live-reload --no-bundle --port 80", "dev --port 80"),
        ("dev --experimental-json-config --x-remote-bindings --port 80", "dev --port 80"),
        ("--debug dev --port 80", "dev --port 80"),
        ("dev --no-such --port 80", "dev --no-such --port 80"),
        ("dev --inspector-port", "dev"),
    ],
)
def test_options_that_change_nothing_here_are_left_out(given, kept):
    """With their values, in every spelling that Cloudflare's tool reads."""
    assert meant(given.split()) == kept.split()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("execute DB --command SELECT", "execute DB --command SELECT"),
        ("execute DB -c a.jsonc -e staging", "execute DB --config a.jsonc --env staging"),
        ("execute DB --persist-to=state --cwd app", "execute DB --data state/perdure --path app"),
        ("execute DB --persist-to state --env=x", "execute DB --data state/perdure --env x"),
    ],
)
def test_options_of_d1_are_said_as_perdure_has_them(given, said, monkeypatch):
    """Whichever way they are spelled."""
    monkeypatch.delenv("CLOUDFLARE_ENV", raising=False)
    assert in_perdures_words(given.split()) == said.split()
    monkeypatch.setenv("CLOUDFLARE_ENV", "beta")
    assert in_perdures_words(given.split()) == said.split() + ([] if "--env" in said else ["--env", "beta"])


def test_an_option_of_d1_without_its_value_is_told(capsys):
    """No folder is made up for it."""
    assert run_command(["d1", "execute", "DB", "--command", "SELECT 1", "--persist-to"]) == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deploy"], ["usage/not-here", "uvx --from workers-py pywrangler deploy"]),
        (["secret", "put", "KEY"], ["usage/not-here", "pywrangler secret"]),
        (["dve"], ["usage/not-here", 'did you mean "dev"?']),
        (["dev", "--remote"], ["usage/argument", "--remote"]),
        (["dev", "-c", "a.jsonc", "-c", "b.jsonc"], ["usage/argument", "several workers"]),
        (["dev", "--prot", "1"], ["usage/no-such-option", 'did you mean "--port"?']),
        (["dev", "--port", "x"], ["usage/argument", "'x'"]),
    ],
)
def test_what_it_does_not_do_is_refused_with_exit_code_2(arguments, words, capsys):
    """Told in the one form, with what to use instead."""
    assert run_command(arguments) == 2
    shown = capsys.readouterr().err
    assert all(word in shown for word in words), shown


def test_sync_has_nothing_to_do(capsys):
    """Packages come from the active environment, and test harnesses run it before `dev`."""
    assert run_command(["sync", "--force"]) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_the_version_says_whose_command_it_is(capsys):
    """Cloudflare's own has the same name."""
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"pywrangler of Perdure {perdure.__version__}\n"


def test_its_distribution_has_the_version_of_perdure():
    """They are released together."""
    project = tomllib.loads((ROOT / "packages/pywrangler/pyproject.toml").read_text())["project"]
    assert project["version"] == perdure.__version__
