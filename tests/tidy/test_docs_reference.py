"""The reference pages name every command, option, variable, exit code and key, with what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perdure._assets.settings import HTML_HANDLINGS, NOT_FOUND_HANDLINGS
from perdure._cli.exits import EXITS
from perdure._cli.main import cli
from perdure._config.assets import ASSETS_KEYS
from perdure._config.env_names import D1_KEYS, HOSTED, KV_KEYS
from perdure._config.project import State
from perdure._config.schema import (
    BINDING_KEYS,
    EXPORT_KEYS,
    KEYS,
    MIGRATION_KEYS,
    NOT_INHERITED,
)
from perdure._config.settings import SETTINGS, of_command

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
CLI = (REFERENCE / "cli.md").read_text()
CONFIGURATION = (REFERENCE / "configuration.md").read_text()


def rows(page: str) -> dict[str, list[str]]:
    """The rows of all tables, by their first cell."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|") and not line.startswith("|--")
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_has_a_section_a_synopsis_and_help(command):
    """With all of its options in the synopsis."""
    assert f"### `perdure {command}`" in CLI
    (synopsis,) = re.findall(rf"(?m)^perdure {command} .*$", CLI)
    assert re.findall(r"--[\w-]+", synopsis) == [setting.option for setting in of_command(command)]
    assert cli.commands[command].help
    assert cli.commands[command].short_help


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_option_has_its_row(setting):
    """Commands, environment variable and default are those of the table of settings."""
    commands, variable, default, text = rows(CLI)[setting.option]
    assert commands == ", ".join(setting.commands)
    assert variable == (f"`{setting.variable}`" if setting.variable else "")
    assert default == (f"`{setting.default}`" if setting.default and setting.kind is not bool else "")
    assert text
    assert all(f"`{choice}`" in text for choice in setting.choices)


def test_no_option_is_documented_that_is_not_there():
    """The page has no row that is only a memory."""
    documented = {name for name in rows(CLI) if name.startswith("--")}
    assert documented == {setting.option for setting in SETTINGS}


def test_every_exit_code_has_its_row():
    """In the words of the code."""
    documented = {int(name): row[0] for name, row in rows(CLI).items() if name.isdigit()}
    assert documented == EXITS


def test_every_kind_of_problem_has_its_row():
    """Each code begins with one of these words."""
    source = Path(__file__).parents[2] / "src" / "perdure"
    kinds = set()
    for folder in ("_config", "_cli", "_admin"):
        for path in (source / folder).glob("*.py"):
            kinds |= set(re.findall(r'"(\w+)/[a-z-]+"', path.read_text()))
    documented = {name.split("/")[0] for name in rows(CLI) if re.fullmatch(r"\w+/\S+", name)}
    assert kinds & documented == documented
    wanted = "usage config app data cli types dev storage object sql kv d1 call control"
    assert set(wanted.split()) == documented


@pytest.mark.parametrize("key", [*KEYS, *MIGRATION_KEYS, *EXPORT_KEYS])
def test_every_key_has_its_row(key):
    """Of the top level, of a migration, of an entry of exports."""
    assert rows(CONFIGURATION)[key][0]


BELOW = [BINDING_KEYS, KV_KEYS, D1_KEYS, ASSETS_KEYS, HTML_HANDLINGS, NOT_FOUND_HANDLINGS, State.__args__]


@pytest.mark.parametrize("name", [name for names in BELOW for name in names])
def test_every_key_below_is_named(name):
    """Of bindings and assets, and the states of exports."""
    assert re.search(rf"[`.{{ ,]{name}[`}} ,]", CONFIGURATION)


def test_what_an_environment_inherits_is_what_the_code_says():
    """The two lists of the page are the whole."""
    (sentence,) = re.findall(r"(?s)uses `env\.staging`\.(.*?)unless.*?;(.*?) are not", CONFIGURATION)
    assert set(re.findall(r"`(\w+)`", sentence[0])) == set(KEYS) - set(NOT_INHERITED) - {"env"}
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(NOT_INHERITED) - set(HOSTED)


def test_every_key_of_cloudflares_platform_is_named():
    """The list of the page is the whole."""
    (sentence,) = re.findall(r"(?s)They are those of(.*?)\.\n", CONFIGURATION)
    assert re.findall(r"`(\w+)`", sentence) == list(HOSTED)
