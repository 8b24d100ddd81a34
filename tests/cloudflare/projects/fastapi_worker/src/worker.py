from contextlib import asynccontextmanager
from typing import Annotated

import asgi
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from workers import DurableObject, WorkerEntrypoint

starts = 0


@asynccontextmanager
async def lifespan(app: FastAPI):
    global starts
    starts += 1
    yield {"start": starts}
    print("the application has ended")


app = FastAPI(title="Items", lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])
app.add_middleware(GZipMiddleware, minimum_size=1000)


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


def bindings(request: Request):
    return request.scope["env"]


Env = Annotated[object, Depends(bindings)]


@app.get("/")
async def root(env: Env):
    return {"message": env.MESSAGE, "most": env.LIMITS["items"]}


@app.get("/start")
async def start(request: Request):
    return {"start": request.state.start}


@app.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None):
    if item_id > 100:
        raise HTTPException(404, "no such item")
    return {"item_id": item_id, "q": q}


@app.post("/items", status_code=201)
async def create_item(item: Item):
    return item


@app.post("/count/{name}")
async def count(name: str, env=asgi.env, by: int = 1):
    stub = env.COUNTER.getByName(name)
    return {"count": await stub.increment(by)}


@app.get("/headers")
async def headers(request: Request, response: Response):
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return {"agent": request.headers.get("user-agent"), "host": request.url.hostname, "cookies": request.cookies}


@app.delete("/items/{item_id}", status_code=204)
async def delete_item(item_id: int):
    return None


@app.get("/stream")
async def stream():
    async def events():
        for number in range(3):
            yield f"data: {number}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/large")
async def large():
    return PlainTextResponse("large " * 1000)


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type=request.headers["content-type"])


@app.get("/broken")
async def broken():
    raise ValueError("broken on purpose")


@app.exception_handler(KeyError)
async def no_key(request: Request, error: KeyError):
    return JSONResponse({"missing": str(error)}, status_code=400)


@app.get("/key/{name}")
async def key(name: str):
    return {"a": 1}[name]


@app.post("/later/{name}")
async def later(name: str, tasks: BackgroundTasks, env=asgi.env):
    async def work():
        await env.COUNTER.getByName(name).increment(10)

    tasks.add_task(work)
    return {"accepted": name}


@app.websocket("/ws/{room}")
async def talk(websocket: WebSocket, room: str):
    await websocket.accept()
    await websocket.send_json({"room": room, "message": websocket.scope["env"].MESSAGE})
    async for text in websocket.iter_text():
        if text == "bye":
            await websocket.close(4001, "bye")
            return
        await websocket.send_text(text[::-1])


class Counter(DurableObject):
    async def increment(self, by):
        value = (await self.ctx.storage.get("value") or 0) + by
        await self.ctx.storage.put("value", value)
        return value


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if (request.headers.get("Upgrade") or "").lower() == "websocket":
            return await asgi.websocket(app, request.js_object, self.env)
        return await asgi.fetch(app, request.js_object, self.env)
