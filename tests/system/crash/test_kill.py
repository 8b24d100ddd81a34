"""`kill -9` in the middle of load from several processes: everything that was answered is there, nothing is torn apart.

PERDURE_CRASH_ROUNDS sets how often (3 in the normal run), PERDURE_CRASH_SEED which run it is; the seed is printed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import httpx
from cli_process import Perdure

LOAD = Path(__file__).parent / "load"
ROUNDS = int(os.environ.get("PERDURE_CRASH_ROUNDS", "3"))
CLIENTS = 3


class Known:
    """What the clients know of the objects: each object may be at anything that this allows."""

    def __init__(self):
        self.names = set()
        self.sent = defaultdict(set)  # name → hits that were sent
        self.acked = defaultdict(set)  # name → those that were answered
        self.seen = defaultdict(int)  # name → the largest count that somebody was told
        self.born = set()
        self.acked_sends = defaultdict(set)
        self.answers = 0

    def take(self, client, said):
        for kind, answered, name, number, answer in said:
            self.answers += answered
            if kind != "born":
                self.names.add(name)
            match kind:
                case "hit":
                    self.sent[name].add((client, number))
                    if answered:
                        self.acked[name].add((client, number))
                        self.seen[name] = max(self.seen[name], answer)
                case "show" if answered:
                    hits, left, right = answer
                    assert left == right, f"{name} showed half of a pair: {left}, {right}"
                    self.seen[name] = max(self.seen[name], hits)
                case "born" if answered:
                    self.born.add(answer)
                case "send" if answered:
                    self.acked_sends[name].add(int(f"{client}0000000{number}"))

    def check(self, url):
        """Ask every object for all it has, and compare."""
        with httpx.Client(timeout=30, verify=False) as http:
            shown = {
                name: http.get(f"{url}/show/{name}").raise_for_status().json() for name in sorted(self.names)
            }
            for born in self.born:
                assert http.get(f"{url}/show/{born}").json()["id"] == born
        for name, state in shown.items():
            hits = [tuple(hit) for hit in state.get("hit", [])]
            stored = set(hits)
            assert len(hits) == len(stored), f"{name} has a hit twice"
            assert state.get("hits", 0) == len(hits), (
                f"{name} is between two commits: its counter and its rows differ"
            )
            assert self.acked[name] <= stored, f"{name} lost {sorted(self.acked[name] - stored)[:5]}"
            assert stored <= self.sent[name], f"{name} has hits that nobody sent"
            assert len(hits) >= self.seen[name], (
                f"{name} has {len(hits)} hits; somebody was told {self.seen[name]}"
            )
            assert state.get("left") == state.get("right"), f"{name} is between two commits"
            sent = {number for (number,) in state.get("sent", [])}
            assert self.acked_sends[name] <= sent, f"{name} lost what it had sent"
        for name, state in shown.items():
            for sender, number in state.get("received", []):
                assert [number] in shown[sender].get("sent", []), (
                    f"{name} heard of a write that {sender} does not have"
                )
        # What was found now has been told to somebody: it may not go away any more.
        for name, state in shown.items():
            self.seen[name] = state.get("hits", 0)
            self.acked[name] = {tuple(hit) for hit in state.get("hit", [])}
            self.sent[name] = set(self.acked[name])


def test_kill_9_under_load_loses_nothing_that_was_answered(tmp_path):
    """Several rounds on one folder, with a large and with a tiny journal, now and then killed while it recovers."""
    seed = int(os.environ.get("PERDURE_CRASH_SEED", random.randrange(10**6)))
    print(f"PERDURE_CRASH_SEED={seed}")
    chance = random.Random(seed)
    known = Known()
    serve = ("serve", LOAD / "app.py", "--port", "0", "--data", tmp_path / "data")
    numbers = iter(range(1, 10**6))
    for _ in range(ROUNDS):
        budget = {"BUDGET_BYTES": str(2**19)} if chance.random() < 0.5 else {}
        if chance.random() < 0.5:
            with Perdure(*serve, cwd=tmp_path, **budget) as process:
                pause(chance.uniform(0.2, 0.6))
                process.signal(signal.SIGKILL)
                process.wait()
        with Perdure(*serve, cwd=tmp_path, **budget) as process:
            known.check(process.url)
            clients = {
                number: a_client(process.url, number, seed)
                for number in (next(numbers) for _ in range(CLIENTS))
            }
            for client in clients.values():
                assert client.stdout.readline() == "begun\n"
            pause(chance.uniform(0.05, 0.9))
            process.signal(signal.SIGKILL)
            process.wait()
            for number, client in clients.items():
                known.take(number, json.loads(client.communicate(timeout=30)[0]))
    with Perdure(*serve, cwd=tmp_path) as process:
        known.check(process.url)
    assert known.answers > 20 * ROUNDS
    print(
        f"{known.answers} answers, {sum(map(len, known.acked.values()))} hits, {len(known.born)} new objects"
    )


def pause(seconds):
    """Wait: the moment of the kill is what is tried here."""
    threading.Event().wait(seconds)


def a_client(url, number, seed):
    port = url.rsplit(":", 1)[1]
    return subprocess.Popen(
        [sys.executable, LOAD / "client.py", port, str(number), str(seed + number)],
        stdout=subprocess.PIPE,
        text=True,
    )
