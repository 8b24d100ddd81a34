"""What the engine tells about itself, as log records."""

from __future__ import annotations

import logging

import pytest

from perdure._base.limits import MIB
from perdure._telemetry.log import RECOVERY_TOLD_BYTES_MIN, LogObserver


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [
        (RECOVERY_TOLD_BYTES_MIN - 1, []),
        (1000 * MIB, ["recovering 3,120 objects from 1,000 MiB of journal …"]),
    ],
)
def test_a_recovery_that_takes_its_time_is_told(caplog, size_bytes, told):
    with caplog.at_level(logging.INFO, "perdure"):
        LogObserver().recovering(3120, size_bytes)
    assert caplog.messages == told
