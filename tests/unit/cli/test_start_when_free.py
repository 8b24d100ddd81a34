"""A server that starts while a command has the data folder."""

from __future__ import annotations

import asyncio

import pytest

from perdure._base import limits
from perdure._cli.host import _start_when_free
from perdure.errors import DataFolderInUse


class Taken:
    """A runtime whose folder is in use for the first *times* starts."""

    def __init__(self, times, role):
        self.left = times
        self.role = role
        self.starts = 0

    async def start(self):
        self.starts += 1
        if self.left:
            self.left -= 1
            raise DataFolderInUse("in use", 1, self.role)


def test_a_command_is_waited_for():
    """It is done in a moment."""
    runtime = Taken(2, "command")
    asyncio.run(_start_when_free(runtime))
    assert runtime.starts == 3


@pytest.mark.parametrize("role", ["server", ""])
def test_another_server_is_not(role):
    """It will not go."""
    runtime = Taken(2, role)
    with pytest.raises(DataFolderInUse):
        asyncio.run(_start_when_free(runtime))
    assert runtime.starts == 1


def test_a_command_is_not_waited_for_without_end(monkeypatch):
    """A backup of much data takes its time."""
    monkeypatch.setattr(limits, "CONTROL_WAIT_S", 0.1)
    with pytest.raises(DataFolderInUse):
        asyncio.run(_start_when_free(Taken(10_000, "command")))
