"""The table of settings."""

from __future__ import annotations

import pytest

from perdure._config.settings import SETTINGS, of_command, size_bytes, unknown_variables


def test_names_are_unique_and_every_setting_has_help():
    """One row a setting."""
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))
    assert all(setting.help.endswith(".") for setting in SETTINGS)


def test_options_and_variables_are_made_from_the_name():
    """No second spelling anywhere."""
    by_name = {setting.name: setting for setting in SETTINGS}
    assert by_name["log_level"].option == "--log-level"
    assert by_name["log_level"].variable == "PERDURE_LOG_LEVEL"
    assert by_name["reload"].option == "--no-reload"
    assert by_name["var"].variable is None


def test_a_command_has_the_settings_of_its_column():
    """`serve` cannot reload, `dev` has no drain time."""
    assert "reload" not in [setting.name for setting in of_command("serve")]
    assert "drain" not in [setting.name for setting in of_command("dev")]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("100", 100),
        ("64KB", 64_000),
        ("64KiB", 65_536),
        ("1.5 mb", 1_500_000),
        ("2G", 2_000_000_000),
    ],
)
def test_sizes_are_written_with_or_without_a_unit(text, size):
    """KB is 1000, KiB 1024."""
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1 TB", "1e3", "0x10"])
def test_what_is_no_size_is_refused(text):
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="write it like"):
        size_bytes(text)


def test_a_mistyped_environment_variable_is_told():
    """With the nearest one."""
    (problem,) = unknown_variables({"PERDURE_PROT": "1", "PERDURE_PORT": "1", "HOME": "/"})
    assert problem.severity == "warning"
    assert problem.hint == 'did you mean "PERDURE_PORT"?'
