import json
from urllib.parse import parse_qs, urlparse

from pyodide.ffi import JsException, to_js
from store import Notes
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlparse(request.url)
        path, query = url.path, parse_qs(url.query)
        notes = Notes(self.env.DB)
        try:
            if path == "/notes" and request.method == "GET":
                return Response.json(await notes.all(query.get("pinned") == ["true"]))
            if path == "/notes" and request.method == "POST":
                return Response.json(await notes.add(await request.json()), status=201)
            if path == "/notes/import":
                return Response.json(await notes.add_all(await request.json()))
            if path == "/stats":
                return Response.json(await self.stats())
            if path == "/maintenance":
                return Response.json(await self.maintenance())
            slug = path.removeprefix("/notes/")
            if request.method == "DELETE":
                return Response.json({"deleted": await notes.delete(slug)})
            if request.method == "PATCH":
                return Response.json({"changed": await notes.update(slug, await request.json())})
            note = await notes.get(slug)
            if note is None:
                return Response("Not found", status=404)
            return Response.json(note)
        except JsException as error:
            status = 409 if "UNIQUE constraint failed" in error.message else 500
            return Response(json.dumps({"error": error.message}), status=status)

    async def stats(self):
        db = self.env.DB
        # A session, with a bookmark for the next request.
        session = db.withSession("first-primary")
        total = await session.prepare("SELECT COUNT(*) AS total FROM notes").first("total")
        rows = await db.prepare("SELECT slug, score FROM notes ORDER BY slug").raw(columnNames=True)
        types = (await db.prepare("SELECT ?1 AS n, typeof(?1) AS kind").bind(7).first()).to_py()
        return {
            "total": total,
            "rows": [list(row) for row in rows],
            "types": types,
            "has_bookmark": isinstance(session.getBookmark(), str),
        }

    async def maintenance(self):
        db = self.env.DB
        done = await db.exec("DELETE FROM log WHERE note = 'nobody'\nPRAGMA optimize")
        logged = await db.prepare("SELECT note FROM log ORDER BY note").raw(to_js({"columnNames": False}))
        return {"count": done["count"], "timed": done.duration >= 0, "logged": [row[0] for row in logged]}
