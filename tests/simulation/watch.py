"""Watch: hears what a simulated application does and says, and knows what must hold. (pure)

| rule | how it is seen |
|---|---|
| one live instance for an id | no step of an instance after a younger one was made |
| events of one stub in order | the numbers of its calls grow in the log of the object |
| no output before its writes are durable; what was acknowledged is there | whatever was heard of a log, by an answer, an error, a socket or a call, is in it after every crash |
| an object is exactly at a commit | log, head and alarm agree; transactions are there as a whole or not at all |
| what was deleted stays deleted | a log is of an era that nobody has deleted; no era ends but by being deleted |
| no alarm lost, none early | `rings` looks at the time; at the end none is left that was to run |
| nothing leaks | `story.py` looks at tasks, files, tables and what the engine keeps in memory |
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from zlib import crc32

from perdure._base import limits

TABLES = {"log", "_cf_KV", "_cf_METADATA"}


class Watch:
    """
    Attributes:
        violations: what was broken, in words.
        answers: how many promises were heard.
        trace: a digest of all that was heard, in order: two runs of a seed have the same.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.answers = 0
        self.trace = 0
        self._youngest: Counter[str] = Counter()
        self._promised: dict[str, dict[tuple[int, int], int]] = {}
        self._rung: Counter[tuple[str, int]] = Counter()
        self._eras: Counter[str] = Counter()
        self._forgotten: dict[tuple[str, int], bool] = {}
        """Eras that were to be deleted, and whether somebody heard that they are."""

    def violation(self, text: str) -> None:
        self.violations.append(text)

    def saw(self, *what: object) -> None:
        """Add to the trace."""
        self.trace = crc32(repr(what).encode(), self.trace)

    # --- what objects tell ----------------------------------------------------------------------------

    def born(self, name: str) -> int:
        """Hear that an instance is made; return its number."""
        self._youngest[name] += 1
        return self._youngest[name]

    def step(self, name: str, number: int) -> None:
        """Hear that code of an instance runs."""
        self.saw(name, number)
        if number != self._youngest[name]:
            self.violation(f"{name}: instance {number} runs beside instance {self._youngest[name]}")

    def new_era(self, name: str) -> int:
        """Hear that a log begins; return its era."""
        self._eras[name] += 1
        return self._eras[name]

    def forgets(self, name: str, era: int) -> None:
        """Hear that an object is about to delete all that it has."""
        self._forgotten.setdefault((name, era), False)

    def rings(self, name: str, due_ms: int, stored_ms: int | None, now_ms: float) -> None:
        """Hear that an alarm runs."""
        self._rung[name, due_ms] += 1
        if now_ms < due_ms - 0.001:  # so much is lost in a float
            self.violation(f"{name}: the alarm of {due_ms} runs at {now_ms:.3f}")
        if stored_ms is None:
            self.violation(f"{name}: the alarm of {due_ms} runs and is not set")

    # --- what the world hears -------------------------------------------------------------------------

    def promise(self, name: str, n: int, digest: int, era: int) -> None:
        """Hear that row *n* of a log is there, with this digest."""
        self.answers += 1
        self.saw("promise", name, n, digest, era)
        known = self._promised.setdefault(name, {}).setdefault((era, n), digest)
        if known != digest:
            self.violation(f"{name}: row {n} was promised with two digests")

    def forgotten(self, name: str, era: int) -> None:
        """Hear that everything of this era is deleted."""
        self.answers += 1
        self.saw("forgotten", name, era)
        self._forgotten[name, era] = True

    # --- what is there --------------------------------------------------------------------------------

    def check(self, accounts: dict[str, dict[str, Any]], *, is_over: bool) -> None:
        """Compare what is there with what was promised; when all *is over*, no alarm is left."""
        for name, account in accounts.items():
            self._check_log(name, account)
            self._check_alarm(name, account, is_over)
            if not {"log"} <= set(account["tables"]) <= TABLES:
                self.violation(f"{name}: has the tables {account['tables']}")
        for name, account in accounts.items():
            for _, op, *_ in account["rows"]:
                _, found, said = op.partition(" from ")
                if found:
                    other, n, digest, era = said.split()
                    self._check_promise(
                        other, accounts[other], int(n), int(digest), int(era), f"{name} heard of"
                    )
        for name, account in accounts.items():
            if account["rows"]:
                self.promise(name, *account["head"])

    def _check_log(self, name: str, account: dict[str, Any]) -> None:
        rows, last = account["rows"], ("", 0)
        era = account["head"][2]
        digest = crc32(f"era {era}".encode())
        careless = 0
        newest: dict[str, int] = {}
        for place, (n, op, its_digest, its_careless) in enumerate(rows, 1):
            digest = crc32(op.encode(), digest)
            if (n, its_digest) != (place, digest):
                self.violation(f"{name}: row {place} is not what follows the rows before it: {op!r}")
                break
            if op.endswith(" undone"):
                self.violation(f"{name}: row {n} was undone: {op!r}")
            if op.endswith(" second") and last != (f"{op.removesuffix('second')}first", n - 1):
                self.violation(f"{name}: row {n}, {op!r}, does not follow the first half of its transaction")
            if op.endswith(" first") and (
                n == len(rows) or rows[n][1] != f"{op.removesuffix('first')}second"
            ):
                self.violation(f"{name}: half of a transaction is there: {op!r}")
            stub, dot, number = op.partition(".")
            if dot and number.isdigit():
                if int(number) <= newest.get(stub, -1):
                    self.violation(f"{name}: call {number} of stub {stub} came after call {newest[stub]}")
                newest[stub] = int(number)
            careless = max(careless, its_careless)
            last = (op, n)
        head = [len(rows), digest, era] if rows else [0, 0, 0]
        if account["head"] != head:
            self.violation(f"{name}: the head is {account['head']}, the log ends with {head}")
        if not account["fillers_are_right"]:
            self.violation(f"{name}: a row has the bytes of another")
        if account["careless"] < careless:
            self.violation(f"{name}: an unconfirmed write is gone though later writes are there")
        if self._forgotten.get((name, era)) and era:
            self.violation(f"{name}: everything of era {era} was deleted, and is there")
        for (era, n), promised in self._promised.get(name, {}).items():
            self._check_promise(name, account, n, promised, era, "somebody heard of")

    def _check_promise(
        self, name: str, account: dict[str, Any], n: int, digest: int, era: int, who: str
    ) -> None:
        rows, current = account["rows"], account["head"][2]
        if era != current:
            if (name, era) not in self._forgotten:
                self.violation(f"{name}: {who} row {n} of era {era}, and nobody deleted that")
            elif 0 < current < era:
                self.violation(f"{name}: {who} row {n} of era {era}, and era {current} is there again")
        elif n > len(rows):
            self.violation(f"{name}: {who} row {n}, and there are {len(rows)}")
        elif rows[n - 1][2] != digest:
            self.violation(f"{name}: {who} another row {n} than is there: {rows[n - 1][1]!r}")

    def _check_alarm(self, name: str, account: dict[str, Any], is_over: bool) -> None:
        due_ms = account["due_ms"]
        if account["is_ringing"] or (
            due_ms is not None and self._rung[name, due_ms] > limits.ALARM_RETRIES_MAX
        ):
            return  # it is running, or it was given up as often failing ones are
        if account["alarm_ms"] != due_ms:
            self.violation(f"{name}: the alarm is set to {account['alarm_ms']}, and should be to {due_ms}")
        if is_over and due_ms is not None:
            self.violation(f"{name}: the alarm of {due_ms} never came")
