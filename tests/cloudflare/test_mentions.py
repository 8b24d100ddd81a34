"""Whether a project's files mention `run_sync`, which is turned on before its first event."""

from __future__ import annotations

import pytest

from perdure._cloudflare.mentions import mentions


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("worker.py", True),
        ("package/views.py", True),
        ("notes.txt", False),
        (".venv/lib/python3.13/site-packages/library.py", False),
        ("python_modules/library.py", False),
        ("node_modules/library/setup.py", False),
    ],
)
def test_only_the_projects_own_python_files_count(tmp_path, file, found):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("def view():\n    from pyodide.ffi import run_sync\n")
    assert mentions(tmp_path, "run_sync") is found


def test_a_file_that_cannot_be_read_mentions_nothing(tmp_path):
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    assert mentions(tmp_path, "run_sync") is False
