from urllib.parse import parse_qs, urlparse

from js import Date
from pyodide.ffi import to_js
from todo_list import TodoList  # noqa: F401
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlparse(request.url)
        query = parse_qs(url.query)
        name = url.path.strip("/").split("/")[0]
        id = self.env.LISTS.idFromName(name)
        todo = self.env.LISTS.get(id)

        if request.method == "POST":
            body = await request.json()
            item = await todo.add(body["title"], tags=body.get("tags", []))
            return Response.json(item, status=201)

        if request.method == "DELETE":
            key = query["key"][0]
            removed = await todo.remove(key)
            return Response.json({"removed": removed})

        if "prefix" in query:
            return Response.json(await todo.find(query["prefix"][0]))

        everything = await todo.everything()
        return Response.json({"list": todo.name, "id": str(todo.id), "items": everything, "at": Date.now()})
