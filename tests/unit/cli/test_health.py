"""What `perdure doctor` concludes from its measurements."""

from __future__ import annotations

import pytest

from perdure._cli import health


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("tmpfs", "fail"),
        ("nfs4", "warn"),
        ("overlay", "warn"),
        ("unknown", "ok"),
    ],
)
def test_a_file_system_that_loses_data_is_told(kind, verdict):
    """Memory is a failure; a network or a container's own layer is a warning."""
    check = health.of_file_system(kind)
    assert check.verdict == verdict
    assert kind in check.found
    assert bool(check.advice) == (verdict != "ok")


@pytest.mark.parametrize(
    ("median_ms", "verdict"), [(0.05, "ok"), (9.9, "ok"), (10.1, "warn"), (0.001, "warn")]
)
def test_a_slow_disk_and_one_that_pretends_are_told(median_ms, verdict):
    """Either is worth a look."""
    assert health.of_syncs(median_ms, 20.0).verdict == verdict


@pytest.mark.parametrize(
    ("soft", "hard", "verdict"),
    [(1024, 65536, "ok"), (1024, 4096, "warn"), (256, 256, "fail"), (1024, -1, "ok"), (20_000, 20_000, "ok")],
)
def test_a_low_limit_of_open_files_is_told_with_what_to_write_where(soft, hard, verdict):
    """The hard limit counts: serve raises the soft one to it."""
    check = health.of_descriptors(soft, hard)
    assert check.verdict == verdict
    assert ("LimitNOFILE=" in check.advice) == (verdict != "ok")


@pytest.mark.parametrize(
    ("free_gib", "inodes", "verdict"),
    [(100, 10**6, "ok"), (1.5, 10**6, "warn"), (0.05, 10**6, "fail"), (100, 500, "warn"), (100, -1, "ok")],
)
def test_a_full_disk_is_told(free_gib, inodes, verdict):
    """Of bytes, or of names for files."""
    assert health.of_space(int(free_gib * 2**30), inodes).verdict == verdict


@pytest.mark.parametrize(
    ("synchronised", "ahead_s", "verdict"),
    [(True, 0, "ok"), (None, -5, "ok"), (False, 0, "warn"), (True, 3600, "warn")],
)
def test_a_clock_that_was_set_back_is_told(synchronised, ahead_s, verdict):
    """Files from the future show it."""
    assert health.of_clock(synchronised, ahead_s).verdict == verdict


@pytest.mark.parametrize(("mode", "verdict"), [(0o40700, "ok"), (0o40750, "warn"), (0o40701, "warn")])
def test_a_data_folder_that_others_may_enter_is_told(mode, verdict):
    """It holds everything the application knows."""
    assert health.of_mode(mode).verdict == verdict


def test_another_python_than_the_tested_one_is_told():
    """A warning: it may well work."""
    assert health.of_python((3, 11, 2)).verdict == "ok"
    assert health.of_python((3, 14, 0)).verdict == "warn"


def test_a_missing_uvloop_is_told():
    """Everything works without it, slower."""
    assert health.of_event_loop(None).verdict == "warn"
    assert health.of_event_loop("0.22").verdict == "ok"


MOUNTS = """\
25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
26 25 0:23 / /dev/shm rw - tmpfs tmpfs rw
27 25 0:40 / /srv/my\\040data rw - nfs4 host:/data rw
28 25 254:0 /inner /srv/bound rw shared:1 - ext4 /dev/vda rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("device", "path", "kind"),
    [
        ((254, 0), "/home/x/.perdure", "ext4"),
        ((0, 23), "/dev/shm/x", "tmpfs"),
        ((0, 40), "/srv/my data/.perdure", "nfs4"),
        ((0, 99), "/dev/shm/x", "tmpfs"),
        ((0, 99), "/dev/shmoo", "ext4"),
        ((254, 0), "/srv/bound/x", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_mount(device, path, kind):
    """By device, else by the longest mount point above (btrfs shows other devices than stat does)."""
    assert health.mount_kind(MOUNTS, device, path) == kind


def test_without_a_list_of_mounts_the_file_system_is_unknown():
    """Which is no reason to warn."""
    assert health.mount_kind("", (1, 1), "/x") == "unknown"
