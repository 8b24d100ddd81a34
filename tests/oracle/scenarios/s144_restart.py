from datetime import UTC, datetime

from lib import enc, serve

from perdure import DurableObject

module_count = 0


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.memory = 0

    async def fill(self):
        global module_count
        self.memory = 5
        module_count = 6
        self.ctx.storage.sql.exec("""
            CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
            INSERT INTO t (v) VALUES ('a'), ('b');
            DELETE FROM t WHERE v = 'b'
        """)
        await self.ctx.storage.put("map", {"d": datetime.fromtimestamp(0.007, UTC)})
        self.ctx.storage.put("unawaited", 1)

    async def state(self):
        return {
            "memory": self.memory,
            "global": module_count,
            "rows": self.ctx.storage.sql.exec("SELECT * FROM t").to_list(),
            "map": enc(await self.ctx.storage.get("map")),
            "unawaited": await self.ctx.storage.get("unawaited"),
        }

    async def more(self):
        return self.ctx.storage.sql.exec("INSERT INTO t (v) VALUES ('c') RETURNING id").to_list()

    async def put(self, key, value):
        await self.ctx.storage.put(key, value)

    async def get(self, key):
        return await self.ctx.storage.get(key)


async def unique(env, ctx):
    """A unique id is only good if written down."""
    id = env.A.new_unique_id()
    await env.A.get(id).put("k", "kept under a unique id")
    await env.A.get_by_name("keeper").put("id", str(id))
    return "kept"


async def uniqueAgain(env, ctx):
    id = await env.A.get_by_name("keeper").get("id")
    return await env.A.get(env.A.id_from_string(id)).get("k")


Default = serve(unique, uniqueAgain)
