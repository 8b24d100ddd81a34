import asyncio
import json
from urllib.parse import parse_qs, urlparse

from js import AbortController, Headers, HTMLRewriter, Object, ReadableStream, TextDecoder, TextEncoder, TransformStream, caches
from js import Response as JSResponse
from js import fetch as js_fetch
from pyodide.ffi import create_proxy, to_js
from pyodide.http import pyfetch
from workers import Blob, DurableObject, File, FormData, Request, Response, WorkerEntrypoint, fetch


class Folder(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, type TEXT, data BLOB)")

    async def fetch(self, request):
        sql = self.ctx.storage.sql
        name = urlparse(request.url).path.rsplit("/", 1)[-1]
        if request.method == "PUT":
            data = await request.bytes()
            sql.exec("REPLACE INTO files VALUES (?, ?, ?)", name, request.headers["content-type"], to_js(data))
            return Response(None, status=204)
        rows = sql.exec("SELECT type, data FROM files WHERE name = ?", name).toArray()
        if not rows:
            return Response("no such file", status=404)
        return Response(rows[0].data, headers={"content-type": rows[0]["type"]})

    async def chunks(self, stream):
        async def answer():
            async for chunk in stream:
                yield bytes(chunk).upper()

        return ReadableStream.from_(answer())

    async def store(self, file):
        sent = Request(f"http://folder/{file.name}", method="PUT", body=await file.bytes(), headers={"content-type": file.content_type})
        await self.fetch(sent)
        return {"name": file.name, "size": file.size}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlparse(request.url)
        handler = getattr(self, "on_" + url.path.split("/")[1], None)
        if handler is None:
            return Response("Not found", status=404)
        return await handler(request, {key: values[0] for key, values in parse_qs(url.query).items()})

    @property
    def folder(self):
        return self.env.FOLDERS.getByName("the one")

    async def on_form(self, request, query):
        form = await request.form_data()
        kept = []
        for name, value in form.items():
            if isinstance(value, File):
                kept.append(await self.folder.store(value))
            else:
                kept.append({name: value})
        return Response.json(kept, status=201)

    async def on_files(self, request, query):
        return await self.folder.fetch(request)

    async def on_stream(self, request, query):
        stream = TransformStream.new()
        writer = stream.writable.getWriter()
        encoder = TextEncoder.new()

        async def tell():
            for number in range(int(query["count"])):
                await writer.write(encoder.encode(f"data: {number}\n\n"))
                await asyncio.sleep(0)
            await writer.close()

        self.ctx.waitUntil(create_proxy(asyncio.ensure_future(tell())))
        headers = Headers.new({"content-type": "text/event-stream"}.items())
        return JSResponse.new(stream.readable, headers=headers)

    async def on_upper(self, request, query):
        decoder = TextDecoder.new()

        def transform(chunk, controller):
            controller.enqueue(TextEncoder.new().encode(decoder.decode(chunk).upper()))

        upper = TransformStream.new(to_js({"transform": create_proxy(transform)}, dict_converter=Object.fromEntries))
        return Response(request.body.pipeThrough(upper), headers={"content-type": "text/plain"})

    async def on_over_rpc(self, request, query):
        return Response(await self.folder.chunks(request.body))

    async def on_page(self, request, query):
        hit = await caches.default.match(request.url)
        if hit is not None:
            return hit

        class Title:
            def element(self, element):
                element.setInnerContent(query["title"])

        page = Response("<html><head><title>old</title></head></html>", headers={"content-type": "text/html", "cache-control": "max-age=60"})
        response = HTMLRewriter.new().on("head > title", create_proxy(Title())).transform(page.js_object)
        await caches.default.put(request.url, response.clone())
        return response

    async def on_count(self, request, query):
        total = 0
        async for chunk in request.body:
            total += len(chunk.to_bytes())
        return Response(str(total))

    async def on_cookies(self, request, query):
        response = Response(request.headers.get("cookie", "none"), headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")])
        response.js_object.headers.append("Set-Cookie", "c=3")
        return response

    async def on_twice(self, request, query):
        first = await request.json()
        try:
            await request.text()
        except OSError as error:
            return Response.json({"first": first, "second": str(error), "used": request.body_used})

    async def on_redirect(self, request, query):
        return Response.redirect(query["to"], 307)

    async def on_empty(self, request, query):
        return Response(status=204, headers={"x-empty": "yes"})

    async def on_about(self, request, query):
        return Response.json(
            {
                "method": request.method,
                "url": request.url,
                "headers": dict(request.headers),
                "country": request.cf.country if request.cf else None,
                "ip": request.headers["CF-Connecting-IP"],
                "has_body": request.body is not None,
            }
        )

    async def on_proxy(self, request, query):
        fetched = await fetch(query["url"], headers={"x-number": 5}, method=request.method, body=request.body)
        if fetched.status != 200:
            return fetched
        return Response(fetched.body, status=203, headers={"x-was": fetched.headers["x-origin"], "x-url": fetched.url})

    async def on_passed(self, request, query):
        return await js_fetch(query["url"], request.js_object)

    async def on_json(self, request, query):
        response = await js_fetch(query["url"], to_js({"method": "POST", "body": json.dumps({"a": [1]})}))
        data = await response.json()
        try:
            (await pyfetch(query["url"] + "/missing")).raise_for_status()
        except OSError as error:
            return Response.json({"echo": data.a[0], "py": (data.to_py())["a"], "error": str(error)})

    async def on_send_form(self, request, query):
        form = FormData({"note": "hi", "data": Blob(["a,b"], content_type="text/csv")})
        form.append("file", File(b"\x00\x01", filename="x.bin"))
        return await fetch(query["url"], method="POST", body=form)

    async def on_slow(self, request, query):
        controller = AbortController.new()
        asyncio.get_running_loop().call_later(0.05, controller.abort)
        try:
            await fetch(query["url"], signal=controller.signal)
        except OSError as error:
            return Response(f"gave up: {error}", status=504)

    async def on_nothing(self, request, query):
        pass
