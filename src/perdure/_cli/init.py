"""`perdure init`: copies a template into a folder. (edge)

The templates are the examples themselves. In an installed package they lie in `templates/` beside this file;
in a checkout they are read from `examples/`, so nothing is kept twice.
"""

from __future__ import annotations

import pathlib
import shutil
import sys

from perdure._cli import exits
from perdure._config.load import shown
from perdure._config.problem import Problem, ProblemsFound, listed

HERE = pathlib.Path(__file__).parent
LEFT_OUT = ("__pycache__", ".perdure*", "*.pyc", ".dev.vars", ".env")
IGNORED = ".perdure*/\n.dev.vars*\n.env*\n__pycache__/\n.pytest_cache/\n"
"""The `.gitignore` of a new application: state, secrets and what Python leaves behind."""


def init(folder: str, template: str) -> int:
    """Write the files of a template; none that exists is touched."""
    source = find_template(template)
    target = pathlib.Path(folder)
    files = template_files(source)
    taken = [str(file) for file in [*files, pathlib.Path(".gitignore")] if (target / file).exists()]
    if target.exists() and not target.is_dir():
        raise ProblemsFound([Problem("cli/not-a-folder", f"{folder} is a file", help="name a folder")])
    if set(taken) - {".gitignore"}:
        raise ProblemsFound(
            [
                Problem(
                    "cli/file-exists",
                    f"{shown(target)} has {listed(taken)} already; nothing was written",
                    help="choose an empty folder: perdure init my-app",
                )
            ]
        )
    try:
        for file in files:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target / file)
        if not taken:
            (target / ".gitignore").write_text(IGNORED)
    except OSError as error:
        raise ProblemsFound(
            [Problem("cli/cannot-write", f"cannot write {error.filename}: {error.strerror}")]
        ) from None
    for file in files:
        print(f"  wrote {shown(target / file)}")
    where = "" if target.resolve() == pathlib.Path.cwd() else f" {shown(target)}"
    print(f"\nNow run:   perdure dev{where}", file=sys.stdout)
    if pathlib.Path("test_app.py") in files:
        print(f"Test it:   pytest{where}", file=sys.stdout)
    return exits.OK


def find_template(name: str) -> pathlib.Path:
    """Return the folder of a template."""
    for folder in (HERE / "templates" / name, HERE.parents[2] / "examples" / name):
        if folder.is_dir():
            return folder
    raise ProblemsFound([Problem("cli/no-template", f'this installation has no template "{name}"')])


def template_files(source: pathlib.Path) -> list[pathlib.Path]:
    """Return the files of a template, relative to it."""
    found = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    return [
        path
        for path in found
        if not any(part_of.match(left) for left in LEFT_OUT for part_of in _parts(path))
    ]


def _parts(path: pathlib.Path) -> list[pathlib.Path]:
    return [pathlib.Path(part) for part in path.parts]
