"""The data folder: one owner, a known format, and what it remembers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from perdure._storage.folder import VERSION, DataFolder
from perdure.errors import DataFolderError, DataFolderInUse

HOLDER = """
import sys
from perdure._storage.folder import DataFolder
folder = DataFolder.open(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "data")


@pytest.fixture
def holder(path):
    """A second process that has the folder until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def write(path: str, name: str, text: str) -> None:
    with open(f"{path}/{name}", "w") as file:
        file.write(text)


def read(path: str, name: str) -> str:
    with open(f"{path}/{name}") as file:
        return file.read()


# --- one owner -------------------------------------------------------------------------------------------


def test_a_folder_is_made_when_there_is_none(path):
    folder = DataFolder.open(f"{path}/deep/down")
    assert sorted(os.listdir(folder.path)) == ["FORMAT", "LOCK", "journal", "objects"]
    folder.close()


def test_a_second_runtime_in_this_process_is_refused(path):
    folder = DataFolder.open(path)
    with pytest.raises(DataFolderInUse, match=f"in this process \\(pid {os.getpid()}\\)"):
        DataFolder.open(path)
    folder.close()


def test_the_same_folder_under_another_name_is_refused(path, tmp_path):
    folder = DataFolder.open(path)
    os.symlink(path, tmp_path / "other")
    with pytest.raises(DataFolderInUse):
        DataFolder.open(tmp_path / "other")
    folder.close()


def test_who_holds_the_lock_is_told_at_any_moment(path, monkeypatch):
    """The holder before is overwritten at one go: what is read meanwhile is never nobody."""
    DataFolder.open(path, role="command").close()
    monkeypatch.setattr(os, "ftruncate", None)
    folder = DataFolder.open(path, role="server")
    lock = open(os.path.join(path, "LOCK")).read()
    assert (lock.split(), len(lock)) == ([str(os.getpid()), "server"], 41)
    folder.close()


def test_a_refused_runtime_leaves_the_lock_with_its_owner(path):
    """POSIX drops a process's lock when it closes any descriptor of the file, so the second one opens none."""
    folder = DataFolder.open(path)
    with pytest.raises(DataFolderInUse):
        DataFolder.open(path)
    code = f"from perdure._storage.folder import DataFolder; DataFolder.open({path!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"in use by process {os.getpid()}" in other.stderr
    folder.close()


def test_a_second_process_is_refused_and_told_the_first_one(path, holder):
    """The error names the folder and the process id of its owner."""
    with pytest.raises(DataFolderInUse) as caught:
        DataFolder.open(path)
    assert path in str(caught.value)
    assert f"process {holder.pid}" in str(caught.value)


def test_who_is_refused_hears_the_process_and_what_it_is(path):
    """A command gives the folder back in a moment, a server listens: who knows can wait, or ask."""
    folder = DataFolder.open(path, role="command")
    code = (
        "from perdure._storage.folder import DataFolder, DataFolderInUse\n"
        f"try: DataFolder.open({path!r})\n"
        "except DataFolderInUse as error: print(error.pid, error.role)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert other.stdout == f"{os.getpid()} command\n"
    folder.close()


def test_a_folder_is_free_when_its_owner_is_killed(path, holder):
    holder.kill()
    holder.wait()
    DataFolder.open(path).close()


def test_a_folder_is_free_after_close(path):
    folder = DataFolder.open(path)
    folder.close()
    folder.close()
    DataFolder.open(path).close()


def test_a_child_of_the_owner_does_not_keep_the_folder(path):
    """Neither a forked child nor a program that was started inherits the lock."""
    folder = DataFolder.open(path)
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    folder.close()
    code = f"from perdure._storage.folder import DataFolder; DataFolder.open({path!r}); print('free')"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    child.communicate()
    assert other.stdout == "free\n"


def test_a_folder_that_failed_to_open_is_free(path):
    DataFolder.open(path).close()
    write(path, "FORMAT", "perdure data 99\n")
    for _ in range(2):
        with pytest.raises(DataFolderError, match="format 99"):
            DataFolder.open(path)


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    write(str(tmp_path), "file", "")
    with pytest.raises(DataFolderError, match="Not a directory"):
        DataFolder.open(tmp_path / "file" / "data")


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    write(str(tmp_path), "file", "")
    with pytest.raises(DataFolderError, match="Not a directory"):
        DataFolder.open(tmp_path / "file")


def test_each_opening_has_its_own_epoch(path):
    epochs = set()
    for _ in range(3):
        folder = DataFolder.open(path)
        epochs.add(folder.epoch)
        folder.close()
    assert len(epochs) == 3


# --- the format ------------------------------------------------------------------------------------------


def test_a_newer_format_is_refused(path):
    """What was found, what this version reads, what to do; and nothing is touched."""
    DataFolder.open(path).close()
    write(path, "FORMAT", f"perdure data {VERSION + 1}\n")
    with pytest.raises(
        DataFolderError, match=rf"has format {VERSION + 1}; .* up to {VERSION}\. Upgrade Perdure"
    ):
        DataFolder.open(path)
    assert read(path, "FORMAT") == f"perdure data {VERSION + 1}\n"


def test_an_older_format_is_migrated_step_by_step(path):
    DataFolder.open(path, version=1).close()
    seen = []
    steps = {number: lambda disk, layout, number=number: seen.append(number) for number in (1, 2)}
    DataFolder.open(path, version=3, steps=steps).close()
    assert seen == [1, 2]
    assert read(path, "FORMAT") == "perdure data 3\n"


def test_a_migration_that_was_cut_short_goes_on_with_the_same_step(path):
    DataFolder.open(path, version=1).close()
    seen = []

    def cut_short(disk, layout):
        seen.append("cut")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataFolderError, match="No space"):
        DataFolder.open(path, version=3, steps={1: lambda disk, layout: seen.append(1), 2: cut_short})
    DataFolder.open(path, version=3, steps={1: cut_short, 2: lambda disk, layout: seen.append(2)}).close()
    assert seen == [1, "cut", 2]


def test_a_damaged_format_is_refused(path):
    DataFolder.open(path).close()
    write(path, "FORMAT", "what")
    with pytest.raises(
        DataFolderError, match=r"FORMAT is damaged: expected 'perdure data \d+', found b'what'"
    ):
        DataFolder.open(path)


@pytest.mark.parametrize("kept", ["objects", "journal"])
def test_data_without_a_format_is_refused(path, kept):
    """A part of a data folder was copied; starting it anew would hide what is there."""
    os.makedirs(f"{path}/{kept}/x")
    with pytest.raises(DataFolderError, match="no FORMAT file"):
        DataFolder.open(path)
    assert not os.path.exists(f"{path}/FORMAT")


def test_a_folder_that_was_only_begun_is_made_anew(path):
    """The process died before FORMAT was written."""
    os.makedirs(f"{path}/journal")
    folder = DataFolder.open(path)
    assert folder.record is None
    folder.close()


# --- what it remembers -----------------------------------------------------------------------------------


def test_the_record_is_there_after_a_restart(path):
    """Byte by byte: whoever saved it knows its form."""
    folder = DataFolder.open(path)
    folder.save_record(b'{"any": "form"}')
    folder.close()
    folder = DataFolder.open(path)
    assert folder.record == b'{"any": "form"}'
    folder.close()


def test_a_missing_record_is_refused_where_there_are_objects(path):
    """Ids hang on the unique keys in it: a new one would orphan every object."""
    folder = DataFolder.open(path)
    os.makedirs(f"{path}/objects/app-A-0123")
    with pytest.raises(DataFolderError, match=r"classes\.json is missing"):
        folder.record  # noqa: B018
    folder.close()
