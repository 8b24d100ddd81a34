from urllib.parse import urlsplit

from lib import attempt, serve, sleep

from perdure import DurableObject, Request, Response


async def broken():
    yield "some"
    await sleep(20)
    raise Exception("stream broke")


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    async def fetch(self, request):
        self.hits += 1
        match urlsplit(request.url).path.split("/")[1]:
            case "throw":
                raise Exception("from fetch")
            case "typeError":
                raise TypeError("a type error")
            case "writeThenThrow":
                self.ctx.storage.put("written", 1)
                raise Exception("after writing")
            case "nothing" | "null":
                return None
            case "text":
                return "text"
            case "object":
                return {"a": 1}
            case "streamFails":
                return Response(broken())
            case "badStatus":
                return Response("x", status=99)
            case "status101":
                return Response(None, status=101)
            case "bodyWith204":
                return Response("body", status=204)
            case "hits":
                return Response.json(self.hits)
            case "written":
                return Response.json(await self.ctx.storage.get("written"))
            case "ignoreBody":
                return Response("ignored")
            case "bigBody":
                return Response(str(len(await request.bytes())))
            case "headers":
                return Response.json([request.headers.get("x-a"), request.headers.get("x-b")])
        return Response("other")


class NoFetch(DurableObject):
    async def hit(self):
        return "hit"


async def ask(env, path, **init):
    return await env.A.get_by_name("x").fetch(f"http://do/{path}", **init)


async def status(env, path, **init):
    async def answer():
        return (await ask(env, path, **init)).status

    return await attempt(answer)


async def outcome(env, ctx, path):
    return await status(env, path)


async def noFetch(env, ctx):
    return await attempt(lambda: env.NoFetch.get_by_name("x").fetch("http://do/"))


async def noFetchRpc(env, ctx):
    return await env.NoFetch.get_by_name("x").hit()


async def badUrls(env, ctx):
    async def answer(url):
        return (await env.A.get_by_name("x").fetch(url)).status

    urls = ["", "nonsense", "ftp://x/y", "//host/path", "http://", "http://[", "HTTP://DO/url"]
    return [await attempt(lambda url=url: answer(url)) for url in urls]


async def badInit(env, ctx):
    return [
        await status(env, "other", method="GET", body="x"),
        await status(env, "other", method="not a method"),
        await status(env, "other", headers={"bad name": "1"}),
        await status(env, "other", headers={"ok": "bad\nvalue"}),
        await status(env, "other", redirect="nonsense"),
    ]


async def nothing(env, ctx):
    return await attempt(lambda: env.A.get_by_name("x").fetch())


async def streamError(env, ctx):
    async def text():
        return await (await ask(env, "streamFails")).text()

    return await attempt(text)


async def manyHeaders(env, ctx):
    headers = [("x-a", "1"), ("X-A", "2"), ("x-b", " spaced ")]
    return await (await ask(env, "headers", headers=headers)).json()


async def bigBody(env, ctx, n):
    return await (await ask(env, "bigBody", method="POST", body="x" * n)).text()


async def reuse(env, ctx):
    request = Request("http://do/bigBody", method="POST", body="four")
    one = await (await env.A.get_by_name("x").fetch(request)).text()
    return [one, await attempt(lambda: env.A.get_by_name("x").fetch(request)), request.body_used]


async def clone(env, ctx):
    request = Request("http://do/bigBody", method="POST", body="four")
    copy = request.clone()
    return [await (await env.A.get_by_name("x").fetch(each)).text() for each in [request, copy]]


async def hits(env, ctx):
    return await (await ask(env, "hits")).json()


Default = serve(
    outcome,
    noFetch,
    noFetchRpc,
    badUrls,
    badInit,
    nothing,
    streamError,
    manyHeaders,
    bigBody,
    reuse,
    clone,
    hits,
)
