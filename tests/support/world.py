"""Objects that do everything an object may do to its storage, and a record of what each must hold afterwards.

A `Log` lists every state that commits of one object made, in order. Whatever a caller, or another object, has
been told makes the state it tells of *confirmed*. Then, at any time and after any crash: an object is exactly
at one of its states, at or after the last confirmed one, and never at one that was undone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from perdure import AlarmInfo, DurableObject, Runtime
from perdure._alarms.times import to_ms
from perdure._storage import metadata
from perdure.errors import Disconnected, ObjectReset, StorageError

Content = dict[str, Any]
"""Key → value, ("item", id) → body, and "alarm" → milliseconds: all that an object stores."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, tag INTEGER, body BLOB);
CREATE INDEX IF NOT EXISTS item_tag ON item (tag);
CREATE TABLE IF NOT EXISTS link (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED);
"""


class Violated(AssertionError):
    """A promise was broken; not an error that an object's caller expects."""

    seen: list[str] = []

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.seen.append(what)


@dataclass
class State:
    """What one commit left."""

    content: Content
    alive: bool = True
    """It has not been undone by a reset or a crash."""


@dataclass
class Log:
    """Every state of one object."""

    name: str
    states: list[State] = field(default_factory=lambda: [State({})])
    confirmed: int = 0
    """The last state that somebody was told of."""
    issued: int = 0
    """The last state whose writes hold back what leaves the object."""

    def add(self, content: Content, *, confirms: bool = True) -> int:
        self.states.append(State(content))
        if confirms:
            self.issued = len(self.states) - 1
        return len(self.states) - 1

    def confirm(self, index: int, who: str) -> None:
        """Note that *who* was told of state *index*."""
        if not self.states[index].alive:
            raise Violated(f"{who} was told of state {index} of {self.name}, which had been undone")
        self.confirmed = max(self.confirmed, index)

    def find(self, content: Content) -> int:
        """Return the state that *content* is; it must be alive, and at or after the confirmed one."""
        mark = content.get("mark")
        for index in range(len(self.states) - 1, -1, -1):
            state = self.states[index]
            if state.content.get("mark") != mark or (mark is None and not state.alive):
                continue
            if index < self.confirmed:
                raise Violated(f"{self.name} is at state {index}; state {self.confirmed} was confirmed")
            if not state.alive:
                raise Violated(f"{self.name} is at state {index}, which had been undone")
            if state.content != content:
                raise Violated(f"{self.name} is not at state {index}: {_difference(state.content, content)}")
            return index
        raise Violated(f"{self.name} is at mark {mark}, which no commit ever left")

    def copy(self) -> Log:
        """Return the log as it is now."""
        states = [State(state.content, state.alive) for state in self.states]
        return Log(self.name, states, self.confirmed, self.issued)

    def last(self) -> State:
        """Return the state at which the object is."""
        return next(state for state in reversed(self.states) if state.alive)

    def rewind(self, index: int) -> None:
        """Note that the object went back to state *index*: what came after is undone."""
        for state in self.states[index + 1 :]:
            state.alive = False
        self.issued = min(self.issued, index)


def _difference(wanted: Content, found: Content) -> str:
    keys = [key for key in {**wanted, **found} if wanted.get(key) != found.get(key)]
    return ", ".join(
        f"{key!r}: wanted {str(wanted.get(key))[:30]}, found {str(found.get(key))[:30]}" for key in keys[:5]
    )


class World:
    """The objects of one simulated run, and the chance that drives them."""

    def __init__(self, chance: random.Random, names: list[str]) -> None:
        self.chance = chance
        self.logs = {name: Log(name) for name in names}
        self.marks = 0
        self.sizes = (3, 300, 3000, 9000)
        self.calls = self.answers = self.resets = 0

    def content(self, log: Log, base: Content) -> Content:
        self.marks += 1
        return {**base, "mark": self.marks}

    def copy_logs(self) -> dict[str, Log]:
        return {name: log.copy() for name, log in self.logs.items()}

    # --- callers --------------------------------------------------------------------------------------

    async def call(self, runtime: Runtime, name: str, method: str = "work") -> None:
        """Call the object and note what the answer, or the error, tells of it."""
        self.calls += 1
        stub = runtime.namespace(Thing).get_by_name(name)
        try:
            told = await getattr(stub, method)()
        except Refused as error:
            told = int(str(error))
        except (StorageError, ObjectReset, Disconnected, OSError):
            self.resets += 1
            return
        self.answers += 1
        self.logs[name].confirm(told, "a caller")


class Refused(ValueError):
    """An ordinary failure of a handler; it says which state it leaves behind."""


class Thing(DurableObject):
    """See the module."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.world: World = env.WORLD
        self.chance = self.world.chance
        self.storage = ctx.storage
        self.log = self.world.logs[ctx.id.name]
        self.kept: Any = None

    # --- what it stores -------------------------------------------------------------------------------

    def read(self) -> Content:
        """Return everything that is stored."""
        content: Content = dict(self.storage.kv.list())
        if self.storage.sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'item'").to_list():
            content |= {
                ("item", row.id): row.body for row in self.storage.sql.exec("SELECT id, body FROM item")
            }
        due_ms = metadata.alarm(self.storage._live.store())
        if due_ms is not None:
            content["alarm"] = due_ms
        return content

    def now(self) -> Content:
        """Return the content of the state at which the object is, after looking whether it may be there."""
        log = self.log
        mark = self.storage.kv.get("mark")
        last = log.states[-1]
        if last.content.get("mark") != mark or not last.alive or self.chance.random() < 0.1:
            log.rewind(log.find(self.read()))
        return dict(log.last().content)

    def change(self, content: Content, count: int | None = None) -> None:
        """Write something in SQL and something by key, and the same into *content*."""
        chance, sql = self.chance, self.storage.sql
        sql.exec(SCHEMA)
        for _ in range(chance.randint(1, 6) if count is None else count):
            item = chance.randrange(40)
            if chance.random() < 0.25:
                sql.exec("DELETE FROM item WHERE id = ?", item)
                content.pop(("item", item), None)
            else:
                body = chance.randbytes(chance.choice(self.world.sizes))
                sql.exec("INSERT OR REPLACE INTO item VALUES (?, ?, ?)", item, item % 7, body)
                content[("item", item)] = body
        key = f"key{chance.randrange(6)}"
        if chance.random() < 0.2:
            self.storage.kv.delete(key)
            content.pop(key, None)
        else:
            content[key] = value = chance.randbytes(chance.choice((1, 50, 500)))
            self.storage.kv.put(key, value)

    def commit(self, content: Content, *, confirms: bool = True) -> int:
        """Mark the state that this step leaves; nothing may be written after it."""
        content = self.world.content(self.log, content)
        self.storage.put("mark", content["mark"], allow_unconfirmed=not confirms)
        return self.log.add(content, confirms=confirms)

    # --- what it does ---------------------------------------------------------------------------------

    async def work(self) -> int:
        """Do some things, each at least a turn; return the last state that the answer waits for."""
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            if self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.uniform(0, 0.006))
            (action,) = self.chance.choices(
                [action for action, _ in ACTIONS], [often for _, often in ACTIONS]
            )
            result = action(self)
            if result is not None:
                await result
            await asyncio.sleep(0)  # the end of a turn: each state of the log is one commit
        if self.chance.random() < 0.1:
            raise Refused(str(self.log.issued))
        return self.log.issued

    def write(self) -> None:
        content = self.now()
        self.change(content)
        self.commit(content)

    def write_much(self) -> None:
        content = self.now()
        self.change(content)
        for item in range(100, 100 + self.chance.randint(5, 15)):
            content[("item", item)] = body = self.chance.randbytes(12_000)
            self.storage.sql.exec("INSERT OR REPLACE INTO item VALUES (?, 0, ?)", item, body)
        self.commit(content)

    async def write_often(self) -> None:
        """Make commit after commit, faster than any disk."""
        for _ in range(self.chance.randint(20, 60)):
            content = self.now()
            content["often"] = value = self.chance.randrange(10**9)
            self.storage.kv.put("often", value)
            self.commit(content)
            await asyncio.sleep(0)

    def write_unconfirmed(self) -> None:
        content = self.now()
        content["loose"] = value = self.chance.randrange(1000)
        self.storage.put("loose", value, allow_unconfirmed=True)
        self.commit(content, confirms=False)

    def look(self) -> None:
        content = self.read()
        self.now()
        self.log.find(content)

    def write_and_undo(self) -> None:
        content = self.now()
        self.change(content)
        scratch = dict(content)
        try:
            with self.storage.transaction_sync():
                self.change(scratch, 12)
                raise KeyError
        except KeyError:
            pass
        self.commit(content)

    def abort(self) -> None:
        content = self.now()
        self.change(content)
        if self.chance.random() < 0.5:
            # What was promised of this turn is taken back with it.
            told = self.commit(content)
            self.log.states[told].alive = False
            self.log.issued = min(self.log.issued, told - 1)
            self.tell(told)
        self.ctx.abort("enough")

    def violate(self) -> None:
        content = self.now()
        self.change(content)
        self.storage.sql.exec("INSERT INTO link VALUES (1, 987654321)")

    def set_alarm(self) -> None:
        """Set the alarm to a time that comes soon, or never while this goes on; or clear it."""
        content = self.now()
        storage = self.storage
        if self.chance.random() < 0.2:
            storage.delete_alarm()
            content.pop("alarm", None)
        else:
            soon_s = self.chance.uniform(-1, 0.02)
            storage.set_alarm(timedelta(seconds=soon_s if self.chance.random() < 0.5 else 10**8))
            content["alarm"] = metadata.alarm(storage._live.store())
        self.commit(content)

    def alarm(self, info: AlarmInfo) -> None:
        """Leave a state without the alarm: both are one commit, so no crash can part them."""
        assert self.storage._live.host.clock.time_s() >= info.scheduled_time.timestamp(), "never early"
        content = self.now()
        if content.get("alarm") == to_ms(info.scheduled_time, 0):
            del content["alarm"]
        self.commit(content)

    async def transact(self) -> None:
        commits = self.chance.random() < 0.7
        try:
            async with self.storage.transaction():
                content = self.now()
                for _ in range(self.chance.randint(1, 3)):
                    self.change(content)
                    if self.chance.random() < 0.3:
                        self.storage.set_alarm(timedelta(days=1000))
                        content["alarm"] = metadata.alarm(self.storage._live.store())
                    if self.chance.random() < 0.7:
                        await asyncio.sleep(self.chance.uniform(0, 0.006))
                if not commits:
                    raise KeyError
                self.commit(content)
        except KeyError:
            pass

    def erase(self) -> None:
        content = self.now()
        if self.chance.random() < 0.5:
            self.change(content)
        self.storage.delete_all()
        self.log.add({})

    def keep_cursor(self) -> None:
        self.now()
        self.storage.sql.exec(SCHEMA)
        self.kept = self.storage.sql.exec("SELECT id, body FROM item ORDER BY id")
        next(self.kept, None)
        self.commit(self.now())

    def drop_cursor(self) -> None:
        self.kept = None
        self.now()

    async def sync(self) -> None:
        self.now()
        told = next(i for i in range(len(self.log.states) - 1, -1, -1) if self.log.states[i].alive)
        await self.storage.sync()
        self.log.confirm(told, "sync()")

    async def call_other(self) -> None:
        self.write()
        await self.tell(self.log.issued)

    def tell(self, index: int) -> Any:
        """Tell another object of a state of this one, without waiting for the answer."""
        other = self.chance.choice([name for name in self.world.logs if name != self.log.name])
        return self.env.THING.get_by_name(other).hear(self.log.name, index)

    def hear(self, name: str, index: int) -> None:
        """Hear of a state of another object: what was sent after a write comes only once it is durable."""
        self.world.logs[name].confirm(index, self.log.name)
        content = self.now()
        content[f"heard {name}"] = index
        self.storage.kv.put(f"heard {name}", index)
        self.commit(content)

    def show(self) -> int:
        """Look whether everything is as it must be."""
        index = self.log.find(self.read())
        self.log.rewind(index)
        return index


ACTIONS: list[tuple[Callable[[Thing], Any], int]] = [
    (Thing.write, 30),
    (Thing.write_much, 3),
    (Thing.write_often, 2),
    (Thing.write_unconfirmed, 4),
    (Thing.look, 5),
    (Thing.write_and_undo, 4),
    (Thing.abort, 2),
    (Thing.violate, 2),
    (Thing.transact, 8),
    (Thing.set_alarm, 8),
    (Thing.erase, 2),
    (Thing.keep_cursor, 4),
    (Thing.drop_cursor, 4),
    (Thing.sync, 3),
    (Thing.call_other, 8),
]
