"""The kinds of resources that there are, and those of one runtime. (pure)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from perdure._resources.kind import Kind, Resource
from perdure._resources.kv import KvKeeper
from perdure.kv_namespace import KvNamespace

KV: Final = Kind("perdure:kv", "KV namespace", "kv_namespaces", KvKeeper, KvNamespace)

KINDS: Final[Mapping[str, Kind]] = {kind.key: kind for kind in (KV,)}


def resources_of(kind: Kind, given: Mapping[str, str] | Iterable[str]) -> dict[str, Resource]:
    """
    Return name in `env` → resource.

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
    return {name: Resource(kind, id) for name, id in named.items()}
