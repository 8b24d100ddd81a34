from lib import attempt, enc, serve

from perdure import DurableObject, Headers, Request, Response


class Plain:
    def m(self):
        return "m"


class A(DurableObject):
    def result(self, kind):
        def bound():
            return "bound"

        match kind:
            case "classInstance":
                return Plain()
            case "nestedClassInstance":
                return {"deep": [Plain()]}
            case "generator":
                return (n for n in [1])
            case "boundFunction":
                return bound
            case "iterator":
                return iter([1, 2])

    def take(self, value):
        return "took it"

    async def readRequest(self, request):
        return [request.method, request.url, request.headers.get("x-a"), await request.text()]

    def makeResponse(self):
        return Response("body", status=418, headers={"x-b": "c"})

    def makeHeaders(self):
        return Headers({"b": "2", "a": "1"})

    async def makeStream(self):
        yield b"streamed text"

    async def readStream(self, stream):
        return await Response(stream).text()

    def other(self, name):
        return self.env.A.get_by_name(name)

    async def askOther(self, stub):
        return ["asked", await stub.whoami()]

    def whoami(self):
        return self.ctx.id.name

    def myId(self):
        return self.ctx.id

    def myCtx(self):
        return self.ctx


def stub(env):
    return env.A.get_by_name("x")


async def result(env, ctx, kind):
    v = await stub(env).result(kind)
    return ["function", await attempt(lambda: v())] if callable(v) else v


def argument(env, ctx):
    return stub(env).take(Plain())


def request(env, ctx):
    return stub(env).readRequest(Request("http://r/p", method="PUT", body="hello", headers={"x-a": "b"}))


async def response(env, ctx):
    r = await stub(env).makeResponse()
    return [r.status, r.headers.get("x-b"), await r.text()]


async def headers(env, ctx):
    return sorted([name, value] for name, value in (await stub(env).makeHeaders()).items())


async def stream(env, ctx):
    return await Response(await stub(env).makeStream()).text()


def streamArgument(env, ctx):
    async def sent():
        yield b"sent text"

    return stub(env).readStream(sent())


async def objectStub(env, ctx):
    other = await stub(env).other("two")
    return [
        await other.whoami(),
        await stub(env).askOther(env.A.get_by_name("three")),
        enc(other.id),
        enc(other.name),
    ]


async def idObject(env, ctx):
    return len(str(await stub(env).myId()))


def ctxObject(env, ctx):
    return stub(env).myCtx()


Default = serve(
    result, argument, request, response, headers, stream, streamArgument, objectStub, idObject, ctxObject
)
