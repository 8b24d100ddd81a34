"""`make soak`: stories of new seeds on every core, as long as asked; a violation is told with what replays it."""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from simulation.story import Report, play

HANGS_S = 300
"""A story that takes so long does not end any more: its stack is printed, and the soak fails."""
TELLS_EVERY_S = 60
"""So often it says how far it has come."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to begin new seeds")
    parser.add_argument("--first", type=int, help="the first seed; by default one that was never tried")
    parser.add_argument("--seed", type=int, help="replay this one alone")
    options = parser.parse_args(arguments)
    began_s = time.monotonic()
    if options.seed is not None:
        reports: Iterable[Report] = map(play, [options.seed])
    else:
        first = int(time.time() * 1000) if options.first is None else options.first
        print(f"seeds from {first}, {os.cpu_count()} at a time", flush=True)
        reports = many(first, began_s + options.seconds)
    seeds = violations = answers = crashes = 0
    told_s = began_s
    for report in reports:
        seeds += 1
        violations += len(report.violations)
        answers += report.answers
        crashes += report.crashes
        for text in report.violations:
            print(f"seed {report.seed}: {text}")
        if report.violations:
            print(f"  replay it: make soak SEED={report.seed}", flush=True)
        if time.monotonic() - told_s >= TELLS_EVERY_S:
            told_s = time.monotonic()
            print(f"after {told_s - began_s:.0f} s: seeds {seeds}, violations {violations}", flush=True)
    took_s = time.monotonic() - began_s
    print(f"{seeds / took_s:.1f} seeds a second, {answers:,} promises heard, {crashes:,} crashes")
    print(f"seeds {seeds}, violations {violations}")
    return 1 if violations else 0


def many(first: int, until_s: float) -> Iterator[Report]:
    """Play one seed after the other, in as many processes as there are processors."""
    count = os.cpu_count() or 1
    seed = first
    pending: dict[Future[Report], int] = {}
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), quieten) as pool:
        while True:
            while len(pending) < 2 * count and time.monotonic() < until_s:
                pending[pool.submit(play_within_time, seed)] = seed
                seed += 1
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                played = pending.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    stuck = sorted([played, *pending.values()])
                    yield Report(played, [f"a process has ended; one of the seeds {stuck} does not"], 0, 0, 0)
                    return


def quieten() -> None:
    warnings.simplefilter("ignore", RuntimeWarning)  # coroutines of objects that were reset


def play_within_time(seed: int) -> Report:
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    try:
        return play(seed)
    finally:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    sys.exit(main())
