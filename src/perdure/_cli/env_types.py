"""What `env` holds, as Python for type checkers. (pure)

The text is right as `env.pyi`, which nothing imports when the application runs, and as `env.py`, which may be.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from typing import Any

HEAD = '''\
"""What `env` holds, for type checkers. Written by `perdure types` from {origin}: run it again when that changes."""

from __future__ import annotations

from typing import {typing}
'''


def env_types(
    origin: str,
    module: str,
    *,
    objects: Iterable[tuple[str, str]],
    services: Iterable[tuple[str, str]],
    own: Iterable[tuple[str, str]] = (),
    absent: Iterable[str] = (),
    variables: Mapping[str, Any],
) -> str:
    """
    Return the text of a module with the class `Env`.

    Args:
        origin: the file that the bindings come from.
        module: the application's main module, which has all the classes.
        objects: (name in `env`, class) of namespaces.
        services: (name in `env`, class) of workers.
        own: (name in `env`, class of Perdure's) of other bindings.
        absent: names that nothing is behind here.
        variables: the values of variables, of which the text only tells the types.
    """
    known = module.isidentifier() and not keyword.iskeyword(module)  # `import my-app` is no Python

    def path(class_name: str) -> str:
        return f"{module}.{class_name}" if known else "Any"

    lines = {
        **{name: f"Namespace[{path(class_name)}]" for name, class_name in objects},
        **{name: path(class_name) for name, class_name in services},
        **dict(own),
        **dict.fromkeys(absent, "Any"),
        **{name: _type(value) for name, value in variables.items()},
    }
    body = [f"    {name}: {annotation}" for name, annotation in lines.items() if _is_attribute(name)]
    body += [f"    # env[{name!r}]: {lines[name]}" for name in lines if not _is_attribute(name)]
    text = "\n".join(body)
    used = sorted({*(["Namespace"] if "Namespace[" in text else []), *(kind for _, kind in own)})
    imports = [f"    from perdure import {', '.join(used)}"] if used else []
    if f"{module}." in text:
        imports += [*([""] if imports else []), f"    import {module}"]
    names = ["TYPE_CHECKING"] * bool(imports) + ["Any"] * ("Any" in text) + ["Protocol"]
    parts = [HEAD.format(origin=origin, typing=", ".join(names))]
    if imports:
        parts += ["if TYPE_CHECKING:", *imports, ""]
    parts += ["", "class Env(Protocol):", '    """Bindings and variables."""', "", text or "    # none", ""]
    return "\n".join(parts)


def _is_attribute(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")


def _type(value: Any) -> str:
    match value:
        case None:
            return "None"
        case bool() | int() | float() | str():
            return type(value).__name__
        case list():
            inside = {_type(item) for item in value}
            return f"list[{' | '.join(sorted(inside)) or 'Any'}]"
        case dict():
            return "dict[str, Any]"
        case _:
            return "Any"
