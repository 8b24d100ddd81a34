from urllib.parse import parse_qsl, urlsplit

from lib import attempt, serve, sleep

from perdure import DurableObject, Headers, Request, Response


async def parts():
    for part in ["one ", "two ", "three"]:
        yield part
        await sleep(20)


class A(DurableObject):
    async def fetch(self, request):
        url = urlsplit(request.url)
        match url.path.split("/")[1:]:
            case ["echo"]:
                return Response.json(
                    {
                        "method": request.method,
                        "one": request.headers.get("x-one"),
                        "type": request.headers.get("content-type"),
                        "body": await request.text(),
                    }
                )
            case ["status", "204"]:
                return Response(None, status=204)
            case ["status", status]:
                return Response(f"status {status}", status=int(status))
            case ["headers"]:
                headers = Headers({"X-Answer": "yes", "Content-Type": "text/made-up"})
                headers.append("Set-Cookie", "a=1")
                return Response("with headers", headers=headers)
            case ["json"]:
                return Response.json({"list": [1, None, "x"]})
            case ["empty"]:
                return Response()
            case ["m"]:
                return Response(f"{request.method} {await request.text() if request.body else 'no body'}")
            case ["big"]:
                return Response(str(len(await Response("x" * 3_000_000).text())))
            case ["stream"]:
                return Response(parts())
            case ["redirect"]:
                return Response(None, status=302, headers={"Location": "http://do/landed"})
            case ["url", *_]:
                return Response(request.url)
        query = parse_qsl(url.query, keep_blank_values=True)
        return Response.json({"path": url.path, "query": query, "method": request.method})


async def ask(env, *args, **init):
    return await env.A.get_by_name("x").fetch(*args, **init)


async def direct(env, ctx):
    return await (await ask(env, "http://any.host:123/p?q#frag")).json()


async def relative(env, ctx):
    return await (await ask(env, "/relative")).text()


async def requestObject(env, ctx):
    request = Request("http://do/echo", method="PUT", body="b")
    return await (await ask(env, request, headers={"x-one": "from init"})).json()


async def redirect(env, ctx):
    response = await ask(env, "http://do/redirect")
    return [response.status, response.redirected, response.url, await response.text()]


async def redirectManual(env, ctx):
    response = await ask(env, "http://do/redirect", redirect="manual")
    return [response.status, response.headers.get("location")]


async def urlSeen(env, ctx):
    urls = ["http://do/url", "https://User@Host.Example:443/url?x=\u00e9"]
    return [await (await ask(env, url)).text() for url in urls]


async def cf(env, ctx):
    return await (await ask(env, "http://do/echo", method="POST", body=b"hi")).json()


async def bodyTwice(env, ctx):
    response = await ask(env, "http://do/json")
    await response.text()
    return await attempt(lambda: response.text())


Default = serve(direct, relative, requestObject, redirect, redirectManual, urlSeen, cf, bodyTwice)
