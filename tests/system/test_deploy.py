"""The files of deploy/ are what systemd and the builders of containers take, and say what the program does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cli_process import APP, Perdure

from perdure._base import limits
from perdure._cli.exits import EXITS, PROBLEMS, USAGE
from perdure._cli.guard import SILENCE_S
from perdure._config.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "perdure.service").read_text()
DOCKERFILE = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
VARIABLES = {setting.variable for setting in SETTINGS}
HADOLINT = Path(sys.executable).with_name("hadolint")
DOCKER_STOP_S = 10
"""`docker stop` kills after so many seconds."""


def of_unit(key):
    return re.findall(rf"(?m)^{key}=(.*)$", UNIT)


def instructions(name):
    return re.findall(rf"(?m)^\s*{name} (.*)$", DOCKERFILE)


def environment_of_image():
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(instructions("ENV"))))


# --- systemd ------------------------------------------------------------------------------------------


def test_the_variables_of_the_unit_are_settings():
    """A mistyped one would do nothing."""
    names = {line.partition("=")[0] for line in of_unit("Environment")}
    assert {name for name in names if name.startswith("PERDURE_")} <= VARIABLES
    assert "PERDURE_DATA" in names


def test_systemd_waits_longer_than_the_service_takes_to_stop():
    """For the drain, a silent loop, and what is cancelled at the end."""
    (drain_s,) = (float(line.partition("=")[2]) for line in of_unit("Environment") if "DRAIN" in line)
    (stop_s,) = of_unit("TimeoutStopSec")
    assert float(stop_s) >= drain_s + SILENCE_S + 5


def test_systemd_does_not_start_again_what_cannot_work():
    """A mistake in the configuration stays one."""
    assert of_unit("RestartPreventExitStatus") == [f"{PROBLEMS} {USAGE}"]
    assert {PROBLEMS, USAGE} < set(EXITS)
    assert of_unit("Type") == ["notify"]
    assert of_unit("KillSignal") == ["SIGTERM"]


@pytest.mark.foreign
def test_systemd_takes_the_units(tmp_path):
    """Without a word; the paths are those of this machine."""
    unit = UNIT.replace("/srv/app/.venv/bin/perdure", sys.executable)
    unit = re.sub(r"(?m)^(User|Group)=perdure$", r"\1=root", unit)
    (tmp_path / "perdure.service").write_text(unit)
    shutil.copy(DEPLOY / "perdure.socket", tmp_path)
    files = [tmp_path / "perdure.service", tmp_path / "perdure.socket"]
    ended = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@pytest.mark.foreign
def test_the_unit_leaves_little_open(tmp_path):
    """In the measure of systemd, where 10 is everything and below 2 is its best grade but one."""
    shutil.copy(DEPLOY / "perdure.service", tmp_path)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager"]
    ended = subprocess.run([*command, tmp_path / "perdure.service"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


# --- containers ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint has no package for this machine")
def test_a_linter_has_nothing_to_say_of_the_dockerfile():
    """At any level."""
    ended = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_image_runs_without_root_and_without_a_shell():
    """So that signals reach the program itself."""
    (user,) = instructions("USER")
    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) > 0
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["perdure"]
    assert json.loads(instructions("CMD")[0]) == ["serve", "/app"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(instructions("VOLUME")[0]) == [environment_of_image()["PERDURE_DATA"]]


def test_the_variables_of_the_image_are_settings_and_fit_docker_stop():
    """It is done before the time that Docker gives it is over."""
    found = environment_of_image()
    assert {name for name in found if name.startswith("PERDURE_")} <= VARIABLES
    assert float(found["PERDURE_DRAIN"]) + 2 < DOCKER_STOP_S
    assert instructions("EXPOSE") == [found["PERDURE_PORT"]]


def test_the_health_check_of_the_image_asks_the_server(tmp_path):
    """With what the image has."""
    (check,) = (json.loads(command) for command in instructions("HEALTHCHECK .* CMD"))
    assert limits.HTTP_HEALTH_PATH in check[2]
    (tmp_path / "app.py").write_text(APP)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        environment = {**os.environ, "PERDURE_PORT": server.url.rpartition(":")[2]}
        command = [sys.executable, *check[1:]]
        assert subprocess.run(command, env=environment).returncode == 0
        server.process.kill()
        server.wait()
        assert subprocess.run(command, env=environment, capture_output=True).returncode != 0


def sources_of_image():
    """What the Dockerfile copies from the project."""
    for arguments in instructions("COPY"):
        if "--from" not in arguments:
            yield from arguments.split()[:-1]


def test_what_the_image_is_made_of_is_what_the_builder_is_given():
    """Nothing else leaves the machine."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    given = {line[1:] for line in lines if line.startswith("!")}
    assert given == {Path(source).parts[0] for source in sources_of_image()}


@pytest.mark.foreign
def test_what_the_image_copies_is_enough_to_build_the_package(tmp_path):
    """With pip, as the first stage does."""
    for source in sources_of_image():
        if (ROOT / source).is_dir():
            # Of an example that runs here: its socket cannot be copied.
            ignored = shutil.ignore_patterns(".perdure")
            shutil.copytree(ROOT / source, tmp_path / source, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy(ROOT / source, tmp_path)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            tmp_path / "made",
            tmp_path,
        ],
        check=True,
    )
    (wheel,) = (tmp_path / "made").glob("perdure-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "perdure/_cli/main.py" in names
    assert "perdure/_cli/templates/counter/app.py" in names
