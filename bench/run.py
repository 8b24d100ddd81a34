"""
Plays the benchmarks: Perdure and workerd in turns, on one machine, in one run.

    python bench/run.py                         all questions
    python bench/run.py http_ping sql_read      some
    python bench/run.py --quick                 a look at all in some minutes

Prints one table and writes `bench/results/<time>.json`. Numbers of one run compare; those of two runs do not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from _lib import machine, tools
from _lib.bench import Bench
from _lib.table import Row, table
from _lib.tools import CACHE, ROOT, say

QUESTIONS = (
    "http_ping",
    "sql_read",
    "increments_one",
    "increments_many",
    "slow_syncs",
    "rpc_latency",
    "new_objects",
    "alarms",
    "memory_per_object",
    "restart_after_kill",
    "start_to_first_answer",
    "ws_echo",
    "ws_broadcast",
    "ws_memory",
    "ws_wake",
    "capnweb",
    "capnweb_memory",
    "cloudflare_projects",
    "floors",
    "event_path",
    "list_objects",
    "growth",
    "sleeping_objects",
    "simulations",
    "testing_kit",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Perdure beside workerd.")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument(
        "--large",
        action="store_true",
        help="1,000,000 objects, and one of 1 GB, too (growth: 10 GB, 10 minutes)",
    )
    parser.add_argument("--turns", type=int, help="measurements of each side (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="of each measurement (3; quick: 1)")
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of cores to the system")
    parser.add_argument("--own-load", action="store_true", help="load by bench/_lib/loader.py, not wrk")
    parser.add_argument("--folder", type=Path, default=CACHE, help="where the servers store (.cache/bench)")
    asked = parser.parse_args()
    for name in asked.questions:
        if name not in QUESTIONS:
            parser.error(f"there is no question {name!r}: choose from {', '.join(QUESTIONS)}")

    raise_descriptor_limit()
    found = tools.find(own_load=asked.own_load)
    CACHE.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    # By default on the checkout's disk: /tmp may be memory.
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=asked.folder)).resolve()
    try:
        about = machine.facts(folder)
        if float(about["load before"]) > 0.5 * (os.cpu_count() or 1):
            say(f"the machine is busy (load {about['load before']:.1f}): trust the ratios only, and repeat")
        bench = Bench(
            found,
            folder,
            quick=asked.quick,
            large=asked.large,
            turns=asked.turns or (1 if asked.quick else 3),
            seconds=asked.seconds or (1 if asked.quick else 3),
            pin=not asked.no_pin,
        )
        about["load"] = "loader.py" if found.wrk is None else "wrk"
        about["cores"] = (
            "not pinned"
            if bench.server_core is None
            else f"servers on {bench.server_core}, load on {bench.load_core}"
        )
        answers: dict[str, list[Row]] = {}
        for name in asked.questions or QUESTIONS:
            question = importlib.import_module(name)
            say(f"{name}: {(question.__doc__ or '').strip().partition('?')[0]}?")
            asked_s = time.monotonic()
            answers[name] = question.play(bench)
            say(f"  {time.monotonic() - asked_s:.0f} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    about["load after"] = os.getloadavg()[0]
    about["seconds"] = round(time.monotonic() - began_s)
    print(report(about, [row for rows in answers.values() for row in rows]))
    say(f"\nwritten to {save(about, answers)}")


def raise_descriptor_limit() -> None:
    """Let what is started from here open as many files as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def report(about: dict[str, str | float], rows: list[Row]) -> str:
    """Return the tables and what they were measured on."""
    parts = ["\n".join(f"{name}: {value}" for name, value in about.items())]
    compared: dict[str, list[Row]] = {}
    for row in rows:
        compared.setdefault(row.beside if row.theirs else "", []).append(row)
    alone = compared.pop("", [])
    parts += [table(rows, beside=beside) for beside, rows in compared.items()]
    parts += [table(alone)] if alone else []
    notes = [f"{row.name}: {row.note}" for row in rows if row.note]
    return "\n\n".join(parts + (["\n".join(notes)] if notes else []))


def save(about: dict[str, str | float], answers: dict[str, list[Row]]) -> Path:
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / time.strftime("%Y%m%d-%H%M%S.json")
    questions = {name: [row.as_json() for row in rows] for name, rows in answers.items()}
    path.write_text(json.dumps({"about": about, "questions": questions}, indent=1, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
