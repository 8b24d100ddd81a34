"""`perdure doctor` on this machine."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest


def doctor(folder, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "perdure", "doctor", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        **more,
    )


def test_every_line_has_a_verdict_and_each_warning_an_advice(tmp_path):
    """Nothing is left behind in the folder."""
    done = doctor(tmp_path)
    lines = done.stdout.splitlines()
    verdicts = [line[:4].strip() for line in lines]
    assert {"ok", "warn", "fail", ""} >= set(verdicts)
    for number, verdict in enumerate(verdicts):
        if verdict in ("warn", "fail"):
            assert lines[number + 1].strip().startswith("→ ")
    names = {line[6:].split("  ")[0] for line in lines if line[:4].strip()}
    assert names >= {"python", "sqlite", "open files", "data folder", "file system", "sync", "space", "clock"}
    assert os.listdir(tmp_path) == []


def test_json_has_the_same_checks(tmp_path):
    """For scripts."""
    report = json.loads(doctor(tmp_path, "--json").stdout)
    assert isinstance(report["ok"], bool)
    assert {"name", "verdict", "found"} <= set(report["checks"][0])


def test_a_data_folder_in_memory_is_exit_code_1():
    """It would lose everything."""
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no tmpfs here")
    done = doctor("/", "--data", "/dev/shm/perdure-of-nobody")
    assert done.returncode == 1
    assert "fail  file system  tmpfs" in done.stdout


def test_a_low_limit_of_descriptors_is_exit_code_1(tmp_path):
    """Fewer than 1,024."""
    done = doctor(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    assert done.returncode == 1
    assert "LimitNOFILE=" in done.stdout


def test_a_data_folder_below_a_file_is_told(tmp_path):
    """In the one form of errors."""
    (tmp_path / "file").write_text("")
    done = doctor(tmp_path, "--data", "file/state")
    assert done.returncode == 1
    assert "error[data/unusable]: file is not a folder" in done.stderr


def test_an_application_that_is_not_there_is_told(tmp_path):
    """As the other commands do."""
    done = doctor(tmp_path, "--path", "nothing.py")
    assert done.returncode == 1
    assert "error[config/missing-file]" in done.stderr
