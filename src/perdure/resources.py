"""The kinds of resources that there are, and those of one runtime. (pure)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from perdure._resources.d1 import D1Keeper
from perdure._resources.kind import Kind, Resource
from perdure._resources.kv import KvKeeper
from perdure.d1_database import D1Database
from perdure.kv_namespace import KvNamespace

KV: Final = Kind("perdure:kv", "KV namespace", "kv_namespaces", KvKeeper, KvNamespace)
D1: Final = Kind("perdure:d1", "D1 database", "d1_databases", D1Keeper, D1Database)

KINDS: Final[Mapping[str, Kind]] = {kind.key: kind for kind in (KV, D1)}
KIND_OF_OPTION: Final[Mapping[str, Kind]] = {kind.option: kind for kind in KINDS.values()}


def resources_of(kind: Kind, given: Mapping[str, str] | Iterable[str]) -> list[tuple[str, Resource]]:
    """
    Return pairs of the name in `env` and the resource.

    Args:
        kind: of all of them.
        given: name → id, or names that are their own ids.
    """
    if isinstance(given, str):
        raise TypeError(f'{kind.option} is a list of names, or name → id; got the text "{given}".')
    named = given if isinstance(given, Mapping) else {name: name for name in given}
    for name, id in named.items():
        if not (isinstance(name, str) and isinstance(id, str) and name and id):
            raise TypeError(f"{kind.option}: name and id of a {kind.noun} are texts; got {name!r}: {id!r}.")
    return [(name, Resource(kind, id)) for name, id in named.items()]
