"""Two sessions back to back, and a target that shows all that can cross."""

from __future__ import annotations

import asyncio
import gc

from perdure import Request, Response, RpcTarget
from perdure._rpc.capnweb.form import TextForm
from perdure._rpc.form import Form
from perdure._rpc.session import Session
from perdure.rpc import Blob, RpcStub
from perdure.rpc_server import capability_of


class Room(RpcTarget):
    disposed: list[str] = []

    def __init__(self, name):
        self._name = name

    @property
    def name(self):
        return self._name

    def messages(self):
        return [f"in {self._name}", "bye"]

    def me(self):
        return {"room": Room(self._name), "more": [1, {"a": None}]}

    def dispose(self):
        Room.disposed.append(self._name)


class Api(RpcTarget):
    """Every kind of call."""

    def __init__(self):
        self.kept = None
        self.poured = []

    def add(self, a, b=1):
        return a + b

    def echo(self, value):
        return value

    def nothing(self):
        return None

    async def numbers(self, to):
        for number in range(to):
            yield number

    async def forever(self):
        await asyncio.Event().wait()

    def room(self, name):
        return Room(name)

    def rooms(self, *names):
        return [Room(name) for name in names]

    def raises(self, what):
        if what == "range":
            raise ValueError("out of range")
        if what == "type":
            raise TypeError("wrong type")
        if what == "group":
            raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
        if what == "exit":
            raise SystemExit(3)
        error = KeyError(what)
        error.code = 17
        raise error

    async def call(self, function, *args):
        return await function(*args)

    async def call_later(self, function, *args):
        await asyncio.sleep(0.001)
        return await function(*args)

    def keep(self, function):
        self.kept = function.dup()

    async def use_kept(self, *args):
        return await self.kept(*args)

    def drop_kept(self):
        self.kept.dispose()
        self.kept = None

    def function(self, by):
        return lambda value: value * by

    async def sum(self, stream):
        total = 0
        async for chunk in stream:
            total += chunk
        return total

    async def sum_two(self, stream):
        total = 0
        async for chunk in stream:
            total += chunk
            if total > 2:
                return total

    async def size(self, stream):
        size = 0
        async for chunk in stream:
            size += len(chunk)
        return size

    async def pour(self, stream, count):
        async with stream:
            for number in range(count):
                await stream.write({"number": number})
        return "poured"

    async def pour_and_fail(self, stream):
        await stream.write(1)
        await stream.abort(ValueError("enough"))

    def blob(self, text):
        return Blob(text.encode(), "text/plain")

    async def respond(self, request: Request):
        return Response(await request.text(), status=201, headers={"x-method": request.method})


class Pair:
    """`async with Pair(target) as pair`: at the end nothing is left in either table."""

    form: type[Form] = TextForm

    def __init__(self, target=None, main=None, **options):
        self.loop = asyncio.get_running_loop()
        self.lines = []
        """What was said, with the side that heard it."""
        self.client = self._session("server", main, **options)
        self.server = self._session("client", target)

    def _session(self, peer, main, **options):
        main = None if main is None else capability_of(main)
        return Session(self._to(peer), main, form=self.form, **options)

    def said(self, kind):
        """Whether a message of this kind was said."""
        form = self.form()
        return any(form.read(line)[0] == kind for _, line in self.lines)

    def _to(self, side):
        def send(line):
            self.lines.append((side, line))
            self.loop.call_soon(lambda: getattr(self, side).receive(line))

        return send

    @property
    def api(self) -> RpcStub:
        return self.client.main

    @property
    def counts(self):
        return self.client.counts, self.server.counts

    async def settled(self, counts=((1, 1), (1, 1))):
        """Wait until the tables are as large as *counts*."""
        async with asyncio.timeout(30):
            while self.counts != counts:
                gc.collect()  # once for many steps
                for _ in range(100):
                    await asyncio.sleep(0)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        if error is None:
            try:
                await self.settled()
            except TimeoutError:
                raise AssertionError((self.counts, self.lines)) from None
            self.client.close()
            assert self.client.counts == (0, 0)


class Heard:
    """One session whose peer is the test, which says what it likes."""

    def __init__(self, target=None, **options):
        self.said = []
        self.end = None
        self.session = Session(
            self.said.append,
            None if target is None else capability_of(target),
            on_end=lambda error, is_ours: setattr(self, "end", error),
            **options,
        )
        self.receive = self.session.receive

    async def answer(self):
        """Wait for the next message."""
        async with asyncio.timeout(30):
            while not self.said:
                await asyncio.sleep(0)
        return self.said.pop(0)
