from lib import serve

from perdure import DurableObject


class A(DurableObject):
    pass


class B(DurableObject):
    pass


def facts(env, ctx, cls, name):
    id = env[cls].id_from_name(name)
    return {"id": str(id), "name": id.name, "jurisdiction": id.jurisdiction}


def long(env, ctx, cls, size):
    id = env[cls].id_from_name("x" * size)
    return {"id": str(id), "nameLength": len(id.name)}


def same(env, ctx, cls, one, two):
    a = env[cls].id_from_name(one)
    b = env[cls].id_from_name(two)
    return {"equals": a.equals(b), "sameText": str(a) == str(b), "sameObject": a is b}


def noArgument(env, ctx, cls):
    return env[cls].id_from_name()


def show(env, ctx, cls, name):
    return repr(env[cls].id_from_name(name))


Default = serve(facts, long, same, noArgument, show)
