from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel
from workers import DurableObject, asgi


class Note(BaseModel):
    text: str


def make_app(board):
    """One application for each board, which closes over its object."""

    @asynccontextmanager
    async def lifespan(app):
        board.sql.exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT, done INTEGER DEFAULT 0)")
        yield

    app = FastAPI(lifespan=lifespan)
    notes = APIRouter(prefix="/notes")

    @notes.get("")
    def all_notes():
        return [
            {"id": row.id, "text": row["text"], "done": bool(row.done)}
            for row in board.sql.exec("SELECT * FROM notes ORDER BY id").toArray()
        ]

    @notes.post("", status_code=201)
    async def add(note: Note):
        row = board.sql.exec("INSERT INTO notes (text) VALUES (?) RETURNING id, text", note.text).one()
        await board.tell({"added": row["text"]})
        return {"id": row.id}

    @notes.put("/{note_id}/done")
    async def done(note_id: int):
        cursor = board.sql.exec("UPDATE notes SET done = 1 WHERE id = ?", note_id)
        if cursor.rowsWritten == 0:
            raise HTTPException(404)
        await board.tell({"done": note_id})
        return {"ok": True}

    @notes.get("/count")
    async def count(request: Request):
        asked = (await board.ctx.storage.get("asked") or 0) + 1
        await board.ctx.storage.put("asked", asked)
        return {"asked": asked, "notes": board.sql.exec("SELECT count(*) AS n FROM notes").one().n}

    app.include_router(notes)

    @app.websocket("/live")
    async def live(websocket: WebSocket):
        await websocket.accept()
        board.listeners.add(websocket)
        try:
            await websocket.send_json({"listeners": len(board.listeners)})
            while True:
                data = await websocket.receive_bytes()
                await websocket.send_bytes(data + b"!")
        except WebSocketDisconnect:
            pass
        finally:
            board.listeners.discard(websocket)

    return app


class Board(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.listeners = set()
        self.app = make_app(self)

    async def tell(self, news):
        for listener in list(self.listeners):
            await listener.send_json(news)

    async def fetch(self, request):
        if request.headers.get("Upgrade") == "websocket":
            return await asgi.websocket(self.app, request, self.env)
        return await asgi.fetch(self.app, request, self.env, self.ctx)
