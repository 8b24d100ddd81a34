from lib import keywords, kind, kinds, serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    async def hit(self):
        self.hits += 1
        return self.hits


async def sameObject(env, ctx):
    one = env.A.get_by_name("x")
    two = env.A.get(env.A.id_from_name("x"))
    three = env.A.get(env.A.id_from_string(str(env.A.id_from_name("x"))))
    return [await one.hit(), await two.hit(), await three.hit(), await one.hit(), one is two]


def properties(env, ctx):
    stub = env.A.get_by_name("x")
    return {"name": stub.name, "idName": stub.id.name, "idEquals": stub.id.equals(env.A.id_from_name("x"))}


def unnamed(env, ctx):
    stub = env.A.get(env.A.new_unique_id())
    return {"name": stub.name, "idName": stub.id.name}


def getNothing(env, ctx):
    return env.A.get()


def getText(env, ctx):
    return env.A.get("x")


def getByNameNothing(env, ctx):
    return env.A.get_by_name()


async def options(env, ctx, options):
    return await env.A.get_by_name("options", **keywords(options)).hit()


def anyName(env, ctx):
    return kind(env.A.get_by_name("x"), "noSuchMethod")


def ownMethod(env, ctx):
    stub = env.A.get_by_name("x")
    stub.local = lambda: "local"
    return stub.local()


def namespaceSurface(env, ctx):
    names = "get get_by_name id_from_name id_from_string new_unique_id jurisdiction get_existing"
    return kinds(env.A, names.split())


Default = serve(
    sameObject,
    properties,
    unnamed,
    getNothing,
    getText,
    getByNameNothing,
    options,
    anyName,
    ownMethod,
    namespaceSurface,
)
