"""
Notebooks in a FastAPI application: one durable object per notebook, in the application's own process.

Start it with `uvicorn app:app` (one worker: an object is alive in exactly one place).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Response, status
from pydantic import BaseModel, StringConstraints

import perdure
from perdure import DurableObject, Runtime, WorkerEntrypoint

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


@dataclass(frozen=True)
class Note:
    id: int
    text: str
    done: bool


class NewNote(BaseModel):
    text: Text


class Notebook(DurableObject):
    """Notes in the order they were written."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT, done INTEGER)")

    async def add(self, text: str) -> Note:
        row = self.sql.exec("INSERT INTO notes (text, done) VALUES (?, 0) RETURNING id", text).one()
        return Note(row.id, text, done=False)

    async def notes(self) -> list[Note]:
        rows = self.sql.exec("SELECT id, text, done FROM notes ORDER BY id")
        return [Note(row.id, row.text, bool(row.done)) for row in rows]

    async def finish(self, note_id: int) -> bool:
        """Mark a note as done; False if there is no such note."""
        return bool(self.sql.exec("UPDATE notes SET done = 1 WHERE id = ? RETURNING id", note_id).to_list())


class Export(WorkerEntrypoint):
    """What the runtime answers itself, under /export: a notebook as plain text."""

    async def fetch(self, request: perdure.Request) -> perdure.Response:
        name = request.url.rstrip("/").rpartition("/")[2]
        notes = await self.env.NOTEBOOK.get_by_name(name).notes()
        lines = [f"[{'x' if note.done else ' '}] {note.text}\n" for note in notes]
        return perdure.Response("".join(lines), headers={"content-type": "text/plain; charset=utf-8"})


def create_app(data: str | Path | None) -> FastAPI:
    """Build the application; `data` is the folder of its objects, None keeps them in a temporary one."""
    runtime = Runtime(objects=[Notebook], worker=Export, data=data)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:  # takes the data folder, and gives it back when the application stops
            yield

    app = FastAPI(title="Notebooks", lifespan=lifespan)

    def notebook(name: str) -> Notebook:
        # A stub has the type of its class: mypy knows that `await notebook("x").notes()` is a list of Note.
        return runtime.namespace(Notebook).get_by_name(name)

    @app.get("/notebooks/{name}")
    async def read(name: Name) -> list[Note]:
        return await notebook(name).notes()

    @app.post("/notebooks/{name}", status_code=status.HTTP_201_CREATED)
    async def write(name: Name, new: NewNote) -> Note:
        return await notebook(name).add(new.text)

    @app.post("/notebooks/{name}/{note_id}/done", status_code=status.HTTP_204_NO_CONTENT)
    async def finish(name: Name, note_id: int) -> Response:
        if not await notebook(name).finish(note_id):
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"Notebook {name!r} has no note {note_id}.")
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    app.mount("/export", runtime.asgi)
    return app


app = create_app(os.environ.get("NOTEBOOKS_DATA", ".perdure"))
