import os

from workers import DurableObject, WorkerEntrypoint, wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()


class Stock(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS stock (name TEXT PRIMARY KEY, pieces INTEGER)")

    def change(self, name, by):
        row = self.ctx.storage.sql.exec(
            """INSERT INTO stock VALUES (?, ?)
               ON CONFLICT (name) DO UPDATE SET pieces = pieces + excluded.pieces RETURNING pieces""",
            name,
            by,
        ).one()
        return row["pieces"]

    def everything(self):
        return [dict(row) for row in self.ctx.storage.sql.exec("SELECT * FROM stock ORDER BY name")]


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await wsgi.fetch(application, request, self.env)
