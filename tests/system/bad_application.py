"""An application that is asked for everything that cannot be: what came of it is the answer, as JSON. (edge)"""

import asyncio
import threading

from perdure import DurableObject, Response, WorkerEntrypoint

MIB = 1024 * 1024
LOCK = threading.Lock()


class Silent(Exception):
    def __str__(self):
        raise ValueError("no text")


class Odd(BaseException):
    """No Exception, and of the application's own."""


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def deep():
    return deep()


def cycle():
    value = {"list": [1]}
    value["list"].append({"self": value, "bad": LOCK})
    return value


RAISES = {
    "value": lambda: ValueError("bad"),
    "exit": lambda: SystemExit(3),
    "interrupt": lambda: KeyboardInterrupt(),
    "cancelled": lambda: asyncio.CancelledError(),
    "generator-exit": lambda: GeneratorExit(),
    "stop-iteration": lambda: StopIteration(),
    "stop-async-iteration": lambda: StopAsyncIteration(),
    "recursion": deep,
    "memory": lambda: MemoryError(),
    "silent": Silent,
    "odd": lambda: Odd("odd"),
    "group": lambda: ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
    "base-group": lambda: BaseExceptionGroup("several", [SystemExit(1), KeyboardInterrupt()]),
    "unicode": lambda: ValueError("\ud800 half a character"),
    "huge": lambda: ValueError("x" * MIB),
}

REQUESTS = {
    "unknown-binding": lambda w: w.env.NOPE.get_by_name("x"),
    "unknown-method": lambda w: w.victim.nothing(),
    "private-method": lambda w: w.victim._private(),
    "field": lambda w: w.victim.field(),
    "ctx": lambda w: w.victim.ctx(),
    "reserved-alarm": lambda w: w.victim.alarm(),
    "reserved-websocket": lambda w: w.victim.websocket_message("x"),
    "reserved-dup": lambda w: w.victim.dup(),
    "wrong-arguments": lambda w: w.victim.echo(1, 2, 3),
    "uncloneable-argument": lambda w: w.victim.echo({"deep": [1, {"er": LOCK}]}),
    "uncloneable-cycle": lambda w: w.victim.echo(cycle()),
    "uncloneable-result": lambda w: w.victim.give("lock"),
    "too-deep-argument": lambda w: w.victim.echo(nested(20_000)),
    "too-large-argument": lambda w: w.victim.echo(b"x" * (32 * MIB + 1)),
    "too-large-result": lambda w: w.victim.give("large"),
    "too-large-key": lambda w: w.victim.put("k" * (9 * MIB), 1),
    "too-large-value": lambda w: w.victim.put("k", b"x" * (9 * MIB)),
    "uncloneable-value": lambda w: w.victim.put_bad(),
    "key-no-text": lambda w: w.victim.put(7, 1),
    "key-half-a-character": lambda w: w.victim.put("\ud800", 1),
    "sql-too-long": lambda w: w.victim.sql("SELECT " + "1 + " * 30_000 + "1"),
    "sql-syntax": lambda w: w.victim.sql("SELEC 1"),
    "sql-begin": lambda w: w.victim.sql("BEGIN"),
    "sql-attach": lambda w: w.victim.sql("ATTACH '/etc/passwd' AS p"),
    "sql-vacuum-into": lambda w: w.victim.sql("VACUUM INTO '/tmp/stolen.sqlite'"),
    "sql-pragma": lambda w: w.victim.sql("PRAGMA journal_mode = DELETE"),
    "sql-hidden-table": lambda w: w.victim.sql("SELECT * FROM _cf_KV"),
    "sql-function": lambda w: w.victim.sql("SELECT sqlite_version()"),
    "sql-temp": lambda w: w.victim.sql("CREATE TEMP TABLE t (x)"),
    "sql-bindings": lambda w: w.victim.sql("SELECT ?", 1, 2),
    "sql-binding-type": lambda w: w.victim.sql("SELECT ?", [1]),
    "sql-empty": lambda w: w.victim.sql(" -- nothing"),
    "id-short": lambda w: w.env.VICTIM.id_from_string("abc"),
    "id-forged": lambda w: w.env.VICTIM.id_from_string("0" * 64),
    "id-foreign": lambda w: w.env.VICTIM.id_from_string(str(w.env.COUNTER.id_from_name("home"))),
    "id-no-text": lambda w: w.env.VICTIM.id_from_string(7),
    "get-no-id": lambda w: w.env.VICTIM.get("home"),
    "name-no-text": lambda w: w.env.VICTIM.get_by_name(None),
    "fetch-no-url": lambda w: w.victim.fetch("/no/host"),
    "fetch-no-handler": lambda w: w.env.COUNTER.get_by_name("home").fetch("http://x/"),
    "fetch-no-response": lambda w: w.victim.fetch("http://x/"),
    "constructor": lambda w: w.env.UNBORN.get_by_name("x").hit(),
    "section": lambda w: w.victim.fail_in_section(),
    "abort": lambda w: w.victim.abort(),
    "task": lambda w: w.victim.raise_in_task("exit"),
}


class Counter(DurableObject):
    async def hit(self):
        n = await self.ctx.storage.get("n", 0) + 1
        await self.ctx.storage.put("n", n)
        return n

    async def get(self):
        return await self.ctx.storage.get("n", 0)


class Unborn(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        raise SystemExit("cannot start")

    async def hit(self):
        pass


class Victim(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.field = "a field"

    async def echo(self, value):
        return value

    async def give(self, what):
        return b"x" * (32 * MIB + 1) if what == "large" else {"lock": LOCK}

    async def put(self, key, value):
        await self.ctx.storage.put(key, value)

    async def put_bad(self):
        await self.ctx.storage.put("k", {"a": [print]})

    async def sql(self, statement, *bindings):
        return self.ctx.storage.sql.exec(statement, *bindings).to_list()

    async def fail_in_section(self):
        def section():
            raise SystemExit("in a section")

        await self.ctx.block_concurrency_while(section)

    async def abort(self):
        self.ctx.abort("enough")

    async def raises(self, kind):
        raise RAISES[kind]()

    async def raise_in_task(self, kind):
        async def task():
            raise RAISES[kind]()

        await asyncio.create_task(task())

    async def _private(self):
        pass

    async def slowly(self):
        self.ctx.storage.kv["began"] = True
        print("slow began", flush=True)
        await asyncio.sleep(0.05)
        self.ctx.storage.kv["ended"] = True
        print("slow ended", flush=True)

    async def fetch(self, request):
        if request.url.endswith("/stream"):
            return Response(self.stream())
        return "no response"

    async def stream(self):
        try:
            for n in range(100_000):
                self.ctx.storage.kv["streamed"] = n
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            print("stream ended", flush=True)


class Default(WorkerEntrypoint):
    @property
    def victim(self):
        return self.env.VICTIM.get_by_name("victim")

    async def fetch(self, request):
        what, *rest = request.url.split("/", 3)[3].split("/")
        match what:
            case "hit":
                return Response(str(await self.env.COUNTER.get_by_name("home").hit()))
            case "count":
                return Response(str(await self.env.COUNTER.get_by_name("home").get()))
            case "ask":
                return Response.json(await self.outcome(lambda: REQUESTS[rest[0]](self)))
            case "object":
                return Response.json(await self.outcome(lambda: self.victim.raises(rest[0])))
            case "object-uncaught":
                await self.victim.raises(rest[0])
            case "worker":
                raise RAISES[rest[0]]()
            case "slow":
                await self.victim.slowly()
                print("worker ended", flush=True)
            case "stream":
                return await self.victim.fetch("http://x/stream")
            case "body":
                return Response(str(len(await request.bytes())))
            case "stored":
                return Response.json(await self.victim.sql("SELECT 1"))
        return Response("nothing")

    async def outcome(self, use):
        try:
            result = use()
            if hasattr(result, "__await__"):
                result = await result
        except Exception as error:
            flags = [
                f
                for f in ("remote", "retryable", "overloaded", "durable_object_reset")
                if getattr(error, f, False)
            ]
            try:
                text = str(error)
            except Exception:
                text = "?"
            return {
                "error": type(error).__name__,
                "text": text[:300].encode("utf-8", "replace").decode(),
                "flags": flags,
            }
        return {"result": repr(result)[:300]}
