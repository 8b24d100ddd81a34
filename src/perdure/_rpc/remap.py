"""Recipes as instructions of the protocol, and back. (pure)

Inside of instructions numbers have a meaning of their own: 0 is the item, n the outcome of the nth instruction, -n
the nth capture. The last instruction is the result.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from perdure._base import limits
from perdure._base.refusal import refuse
from perdure._rpc.capability import Path
from perdure._rpc.capnweb.decode import Decoded
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.form import Form
from perdure._rpc.recipe import Recipe, Ref, Step

EMPTY: Final = "Invalid empty mapper function."
NO_EXPORTS: Final = "A mapper function cannot refer to exports."
NO_VARIABLE: Final = "no such variable in a mapper function: {id}"
TOO_LONG: Final = f"A mapper function has at most {limits.RPC_MAP_STEPS_MAX:,} instructions."


def write_recipe(recipe: Recipe, form: Form) -> list[Any]:
    """Return the instructions that say what *recipe* does."""
    instructions: list[Any] = []
    for step in recipe.steps:
        subject, path = step.subject.index, list(step.path)
        if step.recipe is not None:
            captures = [["import", ref.index] for ref in step.recipe.captures]
            instructions.append(["remap", subject, path, captures, write_recipe(step.recipe, form)])
        elif step.args is None:
            instructions.append(["pipeline", subject, path])
        else:
            args = form.arguments(step.args, step.kwargs, _refer, "arguments")
            instructions.append(["pipeline", subject, path, args])
    instructions.append(form.encode(recipe.result, _refer, "value"))
    return instructions


def _refer(value: Any) -> Any:
    if isinstance(value, Ref):
        return ["pipeline", value.index]
    raise refuse(value)


def read_recipe(captures: list[Any], instructions: list[Any], form: Form) -> Recipe:
    """
    Return the recipe that *instructions* say.

    Raises:
        ProtocolError: they say nothing that can be done.
        DataCloneError: a value in them cannot be made here.
    """
    if not instructions:
        raise ProtocolError(EMPTY)
    if len(instructions) > limits.RPC_MAP_STEPS_MAX:
        raise ProtocolError(TOO_LONG)
    reader = _Reader(captures, form)
    decoder = form.decoder(reader)
    for instruction in instructions:
        reader.variables.append(decoder.decode(instruction).value)
    reader.recipe.result = reader.variables[-1]
    return reader.recipe


class _Reader:
    """Makes what instructions refer to (`Importer`)."""

    def __init__(self, captures: list[Any], form: Form) -> None:
        self.recipe = Recipe(captures)
        self.variables: list[Any] = [Ref(0)]
        self._form = form

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
        given, named = args.arguments()
        return self._add(Step(self._ref(id), path or (), given, named))

    def map(self, id: int, path: Path, captures: list[list[Any]], steps: list[Any]) -> Any:
        if any(kind != "import" for kind, _ in captures):
            raise ProtocolError(NO_EXPORTS)
        inner = read_recipe([self._ref(captured) for _, captured in captures], steps, self._form)
        return self._add(Step(self._ref(id), path, recipe=inner))

    def _add(self, step: Step) -> Ref:
        self.recipe.steps.append(step)
        return Ref(len(self.recipe.steps))

    def stub(self, id: int) -> NoReturn:
        raise ProtocolError(NO_EXPORTS)

    promise = writable = readable = stub

    def blob(self, type: str, content: Any) -> NoReturn:
        raise ProtocolError(NO_EXPORTS)
