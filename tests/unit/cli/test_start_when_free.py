"""A server that starts while a command has the data folder, and a command that comes while a server has it."""

from __future__ import annotations

import asyncio
import sys

import pytest

from perdure._admin.operations import Call
from perdure._base import limits
from perdure._cli.directly import directly
from perdure._cli.host import _start_when_free
from perdure._cli.options import RunOptions
from perdure._storage.folder import DataFolder
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


def test_a_call_that_must_try_for_the_folder_again_imports_the_application_once(tmp_path, monkeypatch):
    """A process cannot import it twice."""
    (tmp_path / "app_called_again.py").write_text(
        "from perdure import DurableObject\n\nclass Thing(DurableObject):\n    async def hello(self):\n        return 'hello'\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    options = RunOptions(path=str(tmp_path / "app_called_again.py"), command="call")
    data = tmp_path / ".perdure"
    call = Call(class_name="Thing", name="a", method="hello")
    held = DataFolder.open(data, role="command")
    with pytest.raises(DataFolderInUse):
        directly(options, data, call, lambda done, total, text: None)
    held.close()
    assert directly(options, data, call, lambda done, total, text: None) == {"value": "hello"}
