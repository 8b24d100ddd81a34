"""The command `perdure`: options in, exit code out. (edge)

Implementations are imported by the command that needs them, so that `--help` and a mistyped option answer
at once.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import perdure
from perdure._cli import exits, operate
from perdure._cli.given import settings_of
from perdure._cli.options import RunOptions
from perdure._config.problem import Problem, ProblemsFound


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"perdure {perdure.__version__}")
        ctx.exit()


class Words(click.Group):
    """The commands in two groups: of an application, and of what it keeps."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        operating = {command.name for command in operate.COMMANDS}
        for title, chosen in (
            ("Commands", [name for name in self.commands if name not in operating]),
            ("Operation", [command.name or "" for command in operate.COMMANDS]),
        ):
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(100)) for name in chosen])


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Durable objects for Python: run an application, check it, begin a new one, look after its data."""


@cli.command(short_help="Run an application and reload it when its files change.")
@click.argument("path", default=".")
@settings_of("dev")
def dev(path: str, reload: bool, **given: Any) -> int:
    """
    Run the application in PATH and reload it when its files change.

    PATH is a Python file, or a folder with wrangler.jsonc, wrangler.json, wrangler.toml or a pyproject.toml
    with [tool.perdure]; by default the current folder. State is kept over reloads and restarts.
    """
    options = _options("dev", path, given)
    if reload:
        from perdure._cli.supervise import supervise

        return supervise(options)
    from perdure._cli.run import run

    return run(options)


@cli.command(short_help="Run an application in production.")
@click.argument("path", default=".")
@settings_of("serve")
def serve(path: str, **given: Any) -> int:
    """
    Run the application in PATH in production: no reload, and nothing internal is shown to clients.

    SIGTERM and Ctrl-C let running requests finish, confirm what was written and end with exit code 0.
    """
    from perdure._cli.run import run

    return run(_options("serve", path, given))


@cli.command(short_help="Check configuration, imports and migrations.")
@click.argument("path", default=".")
@settings_of("check")
def check(path: str, json: bool, **given: Any) -> int:
    """
    Check the application in PATH: its configuration, that it can be imported, and its migrations.

    Every problem is shown; the exit code is 1 when one of them would stop a start. Nothing is changed.
    """
    from perdure._cli import check as implementation

    return implementation.check(_options("check", path, given), as_json=json)


@cli.command(short_help="Write types of env, or TypeScript for clients.")
@click.argument("path", default=".")
@settings_of("types")
def types(path: str, ts: bool, check: bool, output: str | None, **given: Any) -> int:
    """
    Write what type checkers should know of env in the application in PATH: env.pyi, beside its main file.

    With --ts, write TypeScript for clients that speak Cap'n Web instead: api.d.ts, with the application's
    classes, their methods and what these take and return. The file is replaced as a whole.
    """
    from perdure._cli.types import write_types

    return write_types(_options("types", path, given), ts=ts, output=output, check=check)


@cli.command(short_help="Begin a new application.")
@click.argument("dir", default=".")
@settings_of("init")
def init(dir: str, template: str) -> int:
    """Write a first application into DIR, by default the current folder. No file is ever overwritten."""
    from perdure._cli import init as implementation

    return implementation.init(dir, template)


def _options(command: str, path: str, given: dict[str, Any]) -> RunOptions:
    return RunOptions(path=path, command=command, **given)


for command in operate.COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from perdure._cli.console import prepare_streams

    prepare_streams()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Return the exit code of one command of `perdure`."""
    return run_group(cli, arguments, "perdure")


def run_group(group: click.Group, arguments: list[str], name: str) -> int:
    """Return the exit code of one command of *group*; whatever the user did wrong is told in the one form."""
    try:
        code = group.main(args=arguments, prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else exits.OK
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return exits.OK
    except click.UsageError as error:
        return _tell([_usage_problem(error)])
    except click.ClickException as error:
        return _tell([Problem("usage/error", error.format_message())])
    except ProblemsFound as error:
        return _tell(error.problems)
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # `perdure check --json | head`: the reader has gone, and Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.PROBLEMS


def _options_of(ctx: click.Context | None) -> list[str]:
    """Return the names of a command's options."""
    return [] if ctx is None else [name for param in ctx.command.params for name in param.opts]


def _tell(problems: Any) -> int:
    from perdure._cli.console import has_colour
    from perdure._cli.output import problems_text

    print(problems_text(problems, colour=has_colour(sys.stderr)), file=sys.stderr)
    return exits.exit_code(problems)


def _usage_problem(error: click.UsageError) -> Problem:
    from perdure._config.problem import did_you_mean

    command = error.ctx.command_path if error.ctx is not None else "perdure"
    hint = None
    code = "usage/argument"
    if isinstance(error, click.NoSuchOption):
        code = "usage/no-such-option"
        message = f"{command} has no option {error.option_name}"
        hint = did_you_mean(error.option_name, _options_of(error.ctx))
    elif (
        error.ctx is not None
        and isinstance(error.ctx.command, click.Group)
        and "No such command" in error.message
    ):
        code = "usage/no-such-command"
        name = error.message.split("'")[1]
        message = f'there is no command "{name}"'
        hint = did_you_mean(name, error.ctx.command.commands)
    else:
        message = error.format_message().rstrip(".")
        message = message[:1].lower() + message[1:]
    return Problem(code, message, hint=hint, help=f"`{command} --help` shows what there is")
