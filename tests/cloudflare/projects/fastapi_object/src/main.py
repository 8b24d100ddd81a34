from urllib.parse import urlparse

from board import Board
from workers import Request, Response, WorkerEntrypoint

__all__ = ["Board", "Default"]


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name, _, rest = urlparse(request.url).path.removeprefix("/").partition("/")
        if not name:
            return Response("Which board?", status=404)
        id = self.env.BOARDS.idFromName(name)
        stub = self.env.BOARDS.get(id)
        return await stub.fetch(Request(f"https://board/{rest}", **self.same(request)))

    def same(self, request):
        return {"method": request.method, "headers": request.headers, "body": request.body}
