"""Kind: a sort of binding whose data is kept by durable objects of a class of Perdure's own. (pure)

A KV namespace or a database in `env` is a *resource*. It is nothing new below: one durable object keeps it, with the
storage, the gates and the journal that every object has. A kind says how:

- its `key`, such as `perdure:kv`, is the class's name wherever operators see it (`perdure objects perdure:kv`,
  `perdure sql perdure:d1 NAME`), and its unique key. No class of an application can be called so, and `unique_keys`
  may not begin so; it does not hang on the project's name, so that renaming a project loses nothing.
- its `keeper` is the class. Each resource is the object called by the resource's id.
- its `front` makes what `env` has, from the keeper's namespace and the id. A front takes a new stub for each call, as
  a stub that saw its object reset is of no use any more.

The record of the data folder lists the kinds that were ever used in it (`Record.own`), beside the application's classes
and out of reach of migrations: a resource that is bound no longer keeps its data, and whatever lists, exports, backs up
or verifies objects finds it, with or without the application. `perdure.resources` has the table of all kinds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of resource."""

    key: str
    noun: str
    """For messages: "KV namespace"."""
    option: str
    """The argument of `Runtime`, and the key of the configuration."""
    keeper: type
    front: type
    """Of what `env` has; made with the namespace of the keeper, and the id."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What one name in `env` stands for."""

    kind: Kind
    id: str
    """Two names with the same id are the same resource."""
