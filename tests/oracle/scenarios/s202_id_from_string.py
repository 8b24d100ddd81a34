from lib import serve

from perdure import DurableObject


class A(DurableObject):
    async def facts(self):
        id = self.ctx.id
        return {"id": str(id), "name": id.name, "same": id.equals(self.env.A.id_from_name("alpha"))}


class B(DurableObject):
    async def facts(self):
        return {"id": str(self.ctx.id), "name": self.ctx.id.name}


def parse(env, ctx, cls, text):
    id = env[cls].id_from_string(text)
    return {"id": str(id), "name": id.name, "named": id.equals(env[cls].id_from_name("alpha"))}


async def inside(env, ctx, cls, name):
    return await env[cls].get_by_name(name).facts()


async def throughString(env, ctx, cls, name):
    return await env[cls].get(env[cls].id_from_string(str(env[cls].id_from_name(name)))).facts()


async def nameLength(env, ctx, size):
    name = (await env.A.get_by_name("x" * size).facts())["name"]
    return None if name is None else len(name)


async def nameLengthUnicode(env, ctx, size):
    name = (await env.A.get_by_name("\u00e9" * size).facts())["name"]
    return None if name is None else len(name)


def stubNameLength(env, ctx, size):
    return len(env.A.get_by_name("x" * size).name)


def wrongNamespace(env, ctx):
    return str(env.B.get(env.A.id_from_name("alpha")).id)


def equalsOther(env, ctx):
    return env.A.id_from_name("alpha").equals(env.B.id_from_name("alpha"))


def equalsText(env, ctx):
    return env.A.id_from_name("alpha").equals("alpha")


Default = serve(
    parse,
    inside,
    throughString,
    nameLength,
    nameLengthUnicode,
    stubNameLength,
    wrongNamespace,
    equalsOther,
    equalsText,
)
