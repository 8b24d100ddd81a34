"""Names of bindings and projects."""

from __future__ import annotations

import pytest

from perdure._config.names import binding_name, project_name


@pytest.mark.parametrize(
    ("cls", "binding"),
    [
        ("Counter", "COUNTER"),
        ("ChatRoom", "CHAT_ROOM"),
        ("HTTPRoom", "HTTP_ROOM"),
        ("RoomHTTP", "ROOM_HTTP"),
        ("Room2", "ROOM2"),
        ("Room2Hall", "ROOM2_HALL"),
        ("chat_room", "CHAT_ROOM"),
        ("A", "A"),
        ("URL", "URL"),
    ],
)
def test_a_class_is_bound_under_its_name_in_upper_snake_case(cls, binding):
    """The rule for an application without configuration."""
    assert binding_name(cls) == binding


def test_a_project_is_named_after_its_file():
    """Whatever the file is called, the name is lower case with dashes."""
    assert [project_name(stem) for stem in ("app", "My App_2", "--", "Ünï")] == [
        "app",
        "my-app-2",
        "app",
        "n",
    ]
