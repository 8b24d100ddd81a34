"""`perdure check`: every problem of configuration, imports and migrations, and nothing changed. (edge)"""

from __future__ import annotations

import sys

from perdure import application
from perdure._cli import exits, prepare
from perdure._cli.console import has_colour
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, problems_json, problems_text
from perdure._config.app import LoadedApp
from perdure._config.plan import Plan
from perdure._config.problem import Problem, ProblemsFound, errors
from perdure._config.project import Project
from perdure._config.state import Create, Delete, Rename, Step


def check(options: RunOptions, *, as_json: bool) -> int:
    """Print what was found; return the exit code."""
    problems: list[Problem] = []
    project, app, plan = _look(options, problems)
    steps = [_step_text(step) for step in plan.steps] if plan is not None else []
    if as_json:
        bindings = {} if app is None else {binding.name: binding.class_name for binding in app.bound}
        print(
            problems_json(
                problems, name=None if project is None else project.name, bindings=bindings, steps=steps
            )
        )
        return exits.exit_code(problems)
    if problems:
        print(problems_text(problems, colour=has_colour(sys.stderr)), file=sys.stderr)
    wrong = errors(problems)
    if wrong:
        print(
            f"\n{counted(len(wrong), 'error')}, {counted(len(problems) - len(wrong), 'warning')}",
            file=sys.stderr,
        )
        return exits.exit_code(problems)
    assert project is not None, "without an error there is a project"
    assert app is not None, "and an application"
    bound = {*(binding.name for binding in app.bound), *project.names_in_env}
    print(f"{project.name}: {counted(len(bound), 'binding')}, all classes are there")
    for step in steps:
        print(f"  the next start {step}")
    return exits.OK


def _look(
    options: RunOptions, problems: list[Problem]
) -> tuple[Project | None, LoadedApp | None, Plan | None]:
    try:
        project = prepare.read(options)
    except ProblemsFound as error:
        problems += error.problems
        return None, None, None
    problems += project.warnings
    try:
        app = application.load(project)
    except ProblemsFound as error:
        problems += error.problems
        return project, None, None
    problems += app.problems
    try:
        plan = prepare.planned(project, app, prepare.data_folder(options, project))
    except ProblemsFound as error:
        problems += error.problems
        return project, app, None
    problems += plan.problems
    return project, app, plan


def _step_text(step: Step) -> str:
    match step:
        case Create():
            return f"creates class {step.class_name} with the unique key {step.unique_key}"
        case Rename():
            return f"renames class {step.old} to {step.new}"
        case Delete():
            return f"deletes class {step.class_name} and all its objects"
