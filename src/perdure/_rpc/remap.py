"""Recipes as instructions of the protocol, and back. (pure)

Inside of instructions numbers have a meaning of their own: 0 is the item, n the outcome of the nth instruction, -n
the nth capture. The last instruction is the result.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from perdure._base import limits
from perdure._base.refusal import refuse
from perdure._base.registry import Registry
from perdure._rpc.capability import Path
from perdure._rpc.capnweb.decode import Decoded, Decoder
from perdure._rpc.capnweb.encode import encode
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.recipe import Recipe, Ref, Step

EMPTY: Final = "Invalid empty mapper function."
NO_EXPORTS: Final = "A mapper function cannot refer to exports."
NO_VARIABLE: Final = "no such variable in a mapper function: {id}"
TOO_LONG: Final = f"A mapper function has at most {limits.RPC_MAP_STEPS_MAX:,} instructions."
KEYWORDS: Final = "**"
"""The only key of an object that is the last argument of a call: its value are the arguments by name."""


def join_arguments(args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments of a call as the protocol has them, which knows no names."""
    if kwargs or (args and type(args[-1]) is dict and args[-1].keys() == {KEYWORDS}):
        return [*args, {KEYWORDS: kwargs}]
    return args


def split_arguments(args: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call, and those by name."""
    if (
        args
        and type(last := args[-1]) is dict
        and len(last) == 1
        and type(named := last.get(KEYWORDS)) is dict
    ):
        return args[:-1], named
    return args, {}


def write_recipe(recipe: Recipe) -> list[Any]:
    """Return the instructions that say what *recipe* does."""
    instructions: list[Any] = []
    for step in recipe.steps:
        subject, path = step.subject.index, list(step.path)
        if step.recipe is not None:
            captures = [["import", ref.index] for ref in step.recipe.captures]
            instructions.append(["remap", subject, path, captures, write_recipe(step.recipe)])
        elif step.args is None:
            instructions.append(["pipeline", subject, path])
        else:
            (args,) = encode(join_arguments(step.args, step.kwargs), _refer, label="arguments")
            instructions.append(["pipeline", subject, path, args])
    instructions.append(encode(recipe.result, _refer))
    return instructions


def _refer(value: Any) -> Any:
    if isinstance(value, Ref):
        return ["pipeline", value.index]
    raise refuse(value)


def read_recipe(captures: list[Any], instructions: list[Any], registry: Registry | None) -> Recipe:
    """
    Return the recipe that *instructions* say.

    Raises:
        ProtocolError: they say nothing that can be done.
    """
    if not instructions:
        raise ProtocolError(EMPTY)
    if len(instructions) > limits.RPC_MAP_STEPS_MAX:
        raise ProtocolError(TOO_LONG)
    reader = _Reader(captures, registry)
    decoder = Decoder(reader, registry=registry)
    for instruction in instructions:
        reader.variables.append(decoder.decode(instruction).value)
    reader.recipe.result = reader.variables[-1]
    return reader.recipe


class _Reader:
    """Makes what instructions refer to (`Importer`)."""

    def __init__(self, captures: list[Any], registry: Registry | None) -> None:
        self.recipe = Recipe(captures)
        self.variables: list[Any] = [Ref(0)]
        self._registry = registry

    def _value(self, id: int) -> Any:
        if id < 0:
            if -id > len(self.recipe.captures):
                raise ProtocolError(NO_VARIABLE.format(id=id))
            return Ref(id)
        if id >= len(self.variables):
            raise ProtocolError(NO_VARIABLE.format(id=id))
        return self.variables[id]

    def _ref(self, id: int) -> Ref:
        found = self._value(id)
        if not isinstance(found, Ref):
            raise ProtocolError(NO_VARIABLE.format(id=id))
        return found

    def reach(self, id: int, path: Path | None, args: Decoded | None, waits: bool) -> Any:
        if path is None and args is None:
            return self._value(id)
        if args is None:
            return self._add(Step(self._ref(id), path or ()))
        given, named = split_arguments(args.root)
        return self._add(Step(self._ref(id), path or (), given, named))

    def map(self, id: int, path: Path, captures: list[list[Any]], steps: list[Any]) -> Any:
        if any(kind != "import" for kind, _ in captures):
            raise ProtocolError(NO_EXPORTS)
        inner = read_recipe([self._ref(captured) for _, captured in captures], steps, self._registry)
        return self._add(Step(self._ref(id), path, recipe=inner))

    def _add(self, step: Step) -> Ref:
        self.recipe.steps.append(step)
        return Ref(len(self.recipe.steps))

    def stub(self, id: int) -> NoReturn:
        raise ProtocolError(NO_EXPORTS)

    promise = writable = readable = stub

    def blob(self, type: str, content: Any) -> NoReturn:
        raise ProtocolError(NO_EXPORTS)
