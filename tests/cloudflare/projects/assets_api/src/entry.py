import json
import time
from urllib.parse import parse_qs, urlparse

from js import Headers, Object
from js import Response as JsResponse
from pyodide.ffi import JsException, to_js
from workers import Response, WorkerEntrypoint

CORS = {"Access-Control-Allow-Origin": "*"}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlparse(request.url)
        parts = [part for part in url.path.split("/") if part]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            if url.path == "/admin.html":
                return await self.admin(request)
            if parts[:1] == ["s"]:
                return await self.follow(parts[1])
            if parts[:2] == ["api", "links"]:
                return await self.links(request, parts[2:], query)
            if parts[:2] == ["api", "many"]:
                found = await self.env.LINKS.get(query["slugs"].split(","), "json")
                return Response.json({slug: found.get(slug) for slug in found})
            if parts[:2] == ["api", "blob"]:
                return await self.blob(request, parts[2])
            if parts[:2] == ["api", "summary"]:
                return Response.json(await self.env.AI.run("@cf/meta/llama", {"prompt": "hi"}))
        except JsException as error:
            return Response.json({"error": error.message}, status=400)
        except Exception as error:
            return Response.json({"error": str(error), "type": type(error).__name__}, status=500)
        return Response("no such thing", status=404)

    async def admin(self, request):
        """A page for those who know the word."""
        if request.headers.get("authorization") != f"Bearer {self.env.ADMIN_TOKEN}":
            return Response("who are you?", status=401)
        return await self.env.ASSETS.fetch("https://assets.local/admin")

    async def follow(self, slug):
        value, metadata = None, None
        found = await self.env.LINKS.getWithMetadata(slug, {"type": "json"})
        if found.value is None:
            return await self.env.ASSETS.fetch(f"https://assets.local/{slug}")
        value, metadata = found["value"], found.metadata
        hits = int(await self.env.STATS.get(slug) or 0) + 1
        await self.env.STATS.put(slug, str(hits))
        headers = Headers.new({"Location": value.url, "X-Owner": metadata["owner"]}.items())
        return JsResponse.new("", to_js({"status": 302, "headers": headers}, dict_converter=Object.fromEntries))

    async def links(self, request, rest, query):
        if request.method == "POST":
            link = await request.json()
            options = {"metadata": {"owner": link.get("owner", "nobody"), "at": int(time.time())}}
            if "ttl" in link:
                options["expirationTtl"] = link["ttl"]
            if "until" in link:
                options["expiration"] = time.time() + link["until"]
            await self.env.LINKS.put(link["slug"], json.dumps({"url": link["url"]}), to_js(options))
            return Response.json({"short": f"{self.env.BASE_URL}/s/{link['slug']}"}, status=201, headers=CORS)
        if request.method == "DELETE":
            await self.env.LINKS.delete(rest[0])
            return Response(None, status=204)
        if rest:
            link = await self.env.LINKS.get(rest[0], type="json")
            if link is None:
                return Response.json({"error": "not found"}, status=404)
            hits = await self.env.STATS.get(rest[0])
            return Response.json({"url": link["url"], "hits": int(hits or 0)})
        page = await self.env.LINKS.list(prefix=query.get("prefix"), limit=int(query.get("limit", 1000)), cursor=query.get("cursor"))
        keys = [{"slug": key.name, "owner": key["metadata"].owner, "expires": "expiration" in key} for key in page.keys]
        return Response.json({"links": keys, "complete": page.list_complete, "cursor": getattr(page, "cursor", None)})

    async def blob(self, request, key):
        if request.method == "PUT":
            await self.env.STATS.put(f"blob:{key}", request.body)
            return Response("kept", status=201)
        if "stream" in request.url:
            return Response(await self.env.STATS.get(f"blob:{key}", "stream"))
        data = await self.env.STATS.get(f"blob:{key}", to_js({"type": "arrayBuffer"}))
        return Response(data.tobytes(), headers={"content-type": "image/png"})
