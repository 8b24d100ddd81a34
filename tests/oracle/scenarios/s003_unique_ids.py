import re

from lib import serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    async def hit(self):
        self.hits += 1
        return {"hits": self.hits, "name": self.ctx.id.name}


def unique(env, ctx):
    ids = [env.A.new_unique_id() for _ in range(100)]
    return {
        "distinct": len({str(id) for id in ids}),
        "allHex": all(re.fullmatch("[0-9a-f]{64}", str(id)) for id in ids),
        "name": ids[0].name,
        "equalsSelf": ids[0].equals(ids[0]),
        "equalsOther": ids[0].equals(ids[1]),
    }


async def reach(env, ctx):
    id = env.A.new_unique_id()
    return [
        await env.A.get(id).hit(),
        await env.A.get(env.A.id_from_string(str(id))).hit(),
        await env.A.get(env.A.new_unique_id()).hit(),
    ]


def jurisdiction(env, ctx, name):
    return len(str(env.A.new_unique_id(jurisdiction=name)))


def subnamespace(env, ctx, name):
    return env.A.jurisdiction(name).id_from_name("x").equals(env.A.id_from_name("x"))


Default = serve(unique, reach, jurisdiction, subnamespace)
