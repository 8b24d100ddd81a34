"""A process that is killed with its journal full up to the budget: the next start finds everything, and how long it takes.

PERDURE_FULL_JOURNAL_MIB sets the budget instead of those of the normal run; the time is printed, not asserted.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import perdure
from perdure import DurableObject, Runtime
from perdure._base.limits import KIB, MIB

FILL = """\
import asyncio, json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
from perdure import Runtime
from test_full_journal import Shelf

async def main(data, budget_bytes, value_bytes, values):
    runtime = Runtime([Shelf], data=data, slow_ms=0, journal_bytes=budget_bytes)
    await runtime.start()
    journal = runtime._host.storage.journal
    journal.on_pressure = None  # nothing is moved out of it
    stored = {}

    async def fill(n):
        name = f"shelf {n}"
        stored[name] = await runtime.env.SHELF.get_by_name(name).put(values, value_bytes)

    n = 0
    while journal.used_bytes < budget_bytes * 0.9:
        await asyncio.gather(*(fill(n + more) for more in range(8)))
        n += 8
    print(json.dumps(stored), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[2], *map(int, sys.argv[3:])))
"""


class Shelf(DurableObject):
    async def put(self, count, size):
        for n in range(count):
            self.ctx.storage.kv[f"{n}"] = bytes([n % 256]) * size
            await asyncio.sleep(0)
        return count

    async def check(self):
        pairs = list(self.ctx.storage.kv.list())
        assert all(value == value[:1] * len(value) for _, value in pairs)
        return len(pairs)


@pytest.mark.parametrize(
    ("normal_mib", "value_bytes", "values"),
    [pytest.param(32, 50 * KIB, 5, id="large stores"), pytest.param(4, 100, 1, id="small stores")],
)
async def test_a_full_journal_is_recovered(tmp_path, normal_mib, value_bytes, values):
    """Every value that was stored is there, and the journal is empty afterwards."""
    budget_bytes = int(os.environ.get("PERDURE_FULL_JOURNAL_MIB", normal_mib)) * MIB
    paths = [str(Path(perdure.__file__).parents[1]), str(Path(__file__).parent)]
    filled = subprocess.run(
        [
            sys.executable,
            "-c",
            FILL,
            json.dumps(paths),
            tmp_path,
            *map(str, (budget_bytes, value_bytes, values)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert filled.returncode == -signal.SIGKILL, filled.stderr
    stored = json.loads(filled.stdout)
    began_s = time.monotonic()
    async with Runtime([Shelf], data=tmp_path, slow_ms=0) as runtime:
        took_s = time.monotonic() - began_s
        print(f"{budget_bytes // MIB} MiB of {len(stored)} stores recovered in {took_s:.2f} s")
        for name in list(stored)[:: max(1, len(stored) // 100)]:
            assert await runtime.env.SHELF.get_by_name(name).check() == stored[name]
