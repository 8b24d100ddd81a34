"""A counter that survives `kill -9`: one object, one table, one line of SQL."""

from perdure import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS hits (name TEXT PRIMARY KEY, n INTEGER NOT NULL)")

    async def hit(self, name: str, by: int = 1) -> int:
        query = "INSERT INTO hits VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n RETURNING n"
        return self.sql.exec(query, name, by).one().n


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        counter = self.env.COUNTER.get_by_name("home")
        return Response.json({"n": await counter.hit("visits")})
