from lib import attempt_sync, kind, serve, sleep, step

from perdure import DurableObject

LISTS = [
    {},
    {"limit": 2},
    {"reverse": True},
    {"prefix": "c/"},
    {"start": "b"},
    {"start_after": "b"},
    {"end": "c"},
    {"start": "b", "end": "c", "reverse": True},
    {"prefix": "c", "limit": 1, "reverse": True},
    {"start": "z"},
    {"start": "c", "end": "a"},
]


def function():
    pass


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.kv = ctx.storage.kv

    async def basics(self):
        kv = self.kv
        return [
            *[kv.get("k"), kv.put("k", {"n": 1}), kv.get("k"), kv.delete("k"), kv.delete("k"), kv.get("k")],
            *[kv.put("n", None), kv.get("n"), kv.delete("n")],
        ]

    async def sameKeys(self):
        self.kv.put("from sync", 1)
        await self.ctx.storage.put("from async", 2)
        return {"async": await self.ctx.storage.get("from sync"), "sync": self.kv.get("from async")}

    async def lists(self):
        await self.ctx.storage.delete_all()
        for key in ["b", "a", "c", "c/1", "c/2"]:
            self.kv.put(key, len(key))
        return [list(self.kv.list(**options)) for options in LISTS]

    async def iterator(self):
        it = self.kv.list(limit=1)
        return [kind(it, "__next__"), kind(it, "__iter__"), iter(it) is it, step(it), step(it), step(it)]

    async def invalidated(self):
        one = self.kv.list()
        next(one)
        two = self.kv.list()
        return [attempt_sync(lambda: next(one)), attempt_sync(lambda: next(two))]

    async def stale(self):
        it = self.kv.list()
        next(it)
        await self.ctx.storage.sync()
        await sleep(5)
        return attempt_sync(lambda: [key for key, _ in it])

    async def listWhileWriting(self):
        seen = []
        for key, _ in self.kv.list():
            seen.append(key)
            if key == "a":
                self.kv.put("bb", 1)
            if key == "b":
                self.kv.delete("c")
            if len(seen) > 20:
                break
        return seen

    async def errors(self):
        kv = self.kv
        return [
            attempt_sync(lambda: kv.put("k", None)),
            attempt_sync(lambda: kv.put("k", function)),
            attempt_sync(lambda: kv.list(start="a", start_after="b")),
            attempt_sync(lambda: kv.list(limit=0)),
            attempt_sync(lambda: kv.get(["a", "b"])),
            attempt_sync(lambda: kv.delete(["a", "b"])),
        ]


Default = serve()
