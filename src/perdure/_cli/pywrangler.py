"""The command `pywrangler`, carried out by Perdure: for habits, and for programs that start projects with it. (edge)

It is installed by the extra `pywrangler` alone, whose distribution makes this module its console script: Cloudflare's
own tool has the same name. What it has no meaning for on one's own machine it leaves out, and what needs Cloudflare
it refuses.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

import perdure
from perdure._cli import exits
from perdure._cli.main import run_command as run_perdure
from perdure._cli.main import run_group
from perdure._cli.options import RunOptions
from perdure._config.problem import did_you_mean, refused

PORT: Final = 8787
STATE: Final = "perdure"
"""The data folder in what `--persist-to` names: Cloudflare's own tool keeps its state beside it."""

# Options that change nothing here, with and without a value: bundling, inspector, the terminal's keys.
_FLAGS: Final = frozenset(
    """
    --bundle --debug --enable-containers --latest --legacy-env --live-reload --local --minify --native-tls
    --preview --show-interactive-dev-session --strict --test-scheduled --upload-source-maps -l
    """.split()
)
_VALUES: Final = frozenset(
    """
    --container-engine --define --inspector-ip --inspector-port --jsx-factory --jsx-fragment --local-upstream --name
    --outdir --tsconfig --upstream-protocol
    """.split()
)
_OTHERWISE: Final = {
    "--persist-to": "--data",
    "-c": "--config",
    "-e": "--env",
    "--env": "--env",
    "--cwd": "--path",
}
_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "log": "info",
    "warn": "warning",
    "error": "error",
    "none": "error",
}


def meant(arguments: Sequence[str]) -> list[str]:
    """Return *arguments* without the options that change nothing here."""
    kept: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if name in _VALUES:
            if not equals:
                rest[:1] = []
        elif name in _FLAGS or (name.startswith("--no-") and f"--{name[5:]}" in _FLAGS):
            if not equals and rest[:1] in (["true"], ["false"]):
                rest[:1] = []
        elif name.startswith(("--experimental-", "--x-")):
            continue
        else:
            kept.append(word)
    return kept


def in_perdures_words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command on data, with the options that `perdure` calls otherwise."""
    said: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name not in _OTHERWISE:
            said.append(word)
            continue
        if not equals:
            if not rest:
                return [*said, _OTHERWISE[name]]  # which tells what is missing
            value = rest.pop(0)
        said += [_OTHERWISE[name], str(pathlib.Path(value, STATE)) if name == "--persist-to" else value]
    if "CLOUDFLARE_ENV" in os.environ and "--env" not in said:
        said += ["--env", os.environ["CLOUDFLARE_ENV"]]
    return said


class Words(click.Group):
    """The commands that run here; what else `pywrangler` has needs Cloudflare."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise refused(
                "usage/not-here",
                f"pywrangler {args[0]} is not a command that Perdure carries out",
                hint=did_you_mean(args[0], self.commands),
                help=f"here are {', '.join(self.commands)}; what needs Cloudflare is done by Cloudflare's own tool:\n"
                f"uvx --from workers-py pywrangler {args[0]}",
            )
        return super().resolve_command(ctx, args)


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(perdure.__version__, "-v", "--version", message="pywrangler of Perdure %(version)s")
def app() -> None:
    """Run a project for Cloudflare's Python Workers on this machine, with Perdure."""


@app.command(short_help="Run the project and reload it when its files change.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--ip", default="localhost", show_default=True, help="Address to listen on.")
@click.option("-c", "--config", multiple=True, metavar="FILE", help="Configuration file.")
@click.option(
    "-e", "--env", envvar="CLOUDFLARE_ENV", metavar="NAME", help="Environment of the configuration."
)
@click.option("--var", multiple=True, metavar="K:V", help="Variable for env; may be given several times.")
@click.option(
    "--persist-to", metavar="DIR", help=f"Keep state in DIR/{STATE}, and not in .perdure of the project."
)
@click.option("--cwd", default=".", metavar="DIR", help="Folder of the project.")
@click.option("--log-level", type=click.Choice(list(_LEVELS)), default="log", help="Least important records.")
@click.option("-r", "--remote", is_flag=True, hidden=True)
def dev(
    port: int | None,
    ip: str,
    config: tuple[str, ...],
    env: str | None,
    var: tuple[str, ...],
    persist_to: str | None,
    cwd: str,
    log_level: str,
    remote: bool,
) -> int:
    """
    Run the project of the current folder: what `perdure dev` does, with these names of options.

    Packages come from the environment that this command is installed in. Without --port it takes the next free one
    when 8787 is in use. `[wrangler:info] Ready on http://...` is printed when requests are answered.
    """
    from perdure._cli.supervise import supervise

    if remote:
        _refuse_remote()
    if len(config) > 1:
        raise refused(
            "usage/argument",
            "several workers in one run: --config is given more than once",
            help="run one of them; classes of one project reach each other with service bindings",
        )
    return supervise(
        RunOptions(
            path=cwd,
            command="dev",
            host=ip,
            port=_free_port(ip) if port is None else port,
            config=config[0] if config else None,
            env=env,
            var=var,
            data=None if persist_to is None else str(pathlib.Path(persist_to, STATE)),
            log_level=_LEVELS[log_level],
            ready_prefix="[wrangler:info] ",
        )
    )


@app.command(
    short_help="Run SQL on D1 databases, and apply their migrations.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def d1(arguments: tuple[str, ...]) -> int:
    """Do what `perdure d1` does, with these names of options."""
    return run_perdure(["d1", *in_perdures_words(arguments)])


@app.command(short_help="Nothing is to be done: packages come from the active environment.")
@click.option("--force", is_flag=True, hidden=True)
def sync(**ignored: Any) -> int:
    """Do nothing: Perdure imports a project's packages from the environment that it is installed in."""
    print("Nothing to do: packages come from the environment that pywrangler is installed in.")
    return exits.OK


def _free_port(host: str) -> int:
    """Return 8787, or the next port that is free: a second project is run beside the first one."""
    from perdure._cli.listen import next_free_port

    return next_free_port(host, PORT - 1) or 0


def _refuse_remote() -> NoReturn:
    raise refused(
        "usage/argument",
        "--remote runs a project on Cloudflare's network; this pywrangler runs it on this machine",
        help="leave it out, or use Cloudflare's own: uvx --from workers-py pywrangler dev --remote",
    )


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from perdure._cli.console import prepare_streams

    prepare_streams()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Return the exit code of one command."""
    return run_group(app, meant(arguments), "pywrangler")
