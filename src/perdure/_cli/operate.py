"""Commands for whoever runs Perdure: the data, the objects, the machine. (edge)

They work through the server that runs on the data folder, or on the folder itself when none does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from perdure._cli.given import settings_of
from perdure._cli.options import RunOptions


def on_folder(short_help: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a command of a function of the folder's options and the command's own."""

    def decorate(function: Callable[..., int]) -> click.Command:
        name = function.__name__.rstrip("_").replace("_", "-")

        @functools.wraps(function)
        def run(path: str, data: str | None, config: str | None, env: str | None, **given: Any) -> int:
            options = RunOptions(
                path=path, command=name, data=data, config=config, env=env, var=given.pop("var", ())
            )
            return function(options, **given)

        return click.command(name, short_help=short_help)(settings_of(name)(run))

    return decorate


class_name = click.argument("class_name", metavar="CLASS")
name = click.argument("name", metavar="NAME")


def _named(name: str, is_id: bool) -> dict[str, str]:
    return {"id": name} if is_id else {"name": name}


@on_folder("List the objects that store something.")
@click.argument("class_name", metavar="[CLASS]", required=False)
def objects(options: RunOptions, class_name: str | None, prefix: str, limit: int, json: bool) -> int:
    """
    List the objects that store something, of CLASS or of every class: name, size, last use, id.

    Those with a name come first, in the order of names. `live` are those in the memory of a server.
    """
    from perdure._cli.objects import list_objects

    return list_objects(options, class_name, prefix=prefix, limit=limit, as_json=json)


@on_folder("Run SQL on the database of one object.")
@class_name
@name
@click.argument("query", required=False)
def sql(
    options: RunOptions,
    class_name: str,
    name: str,
    query: str | None,
    id: bool,
    write: bool,
    csv: bool,
    json: bool,
    timeout: float,
) -> int:
    """
    Run QUERY on the database of one object, as an event of that object.

    Without QUERY it is read from standard input; on a terminal there is a prompt. It may only read unless
    --write is given; then all of it happens, or nothing, and it is durable when this returns.
    """
    from perdure._cli.sql import run_sql

    return run_sql(
        options,
        {"class_name": class_name, **_named(name, id), "write": write, "time_s": timeout},
        query,
        form="json" if json else "csv" if csv else "table",
    )


@on_folder("Read and write keys and values of one object.")
@class_name
@name
@click.argument("action", metavar="ACTION", type=click.Choice(["get", "put", "list", "delete"]))
@click.argument("rest", metavar="[KEY [VALUE] | KEY...]", nargs=-1)
def kv(
    options: RunOptions,
    class_name: str,
    name: str,
    action: str,
    rest: tuple[str, ...],
    id: bool,
    prefix: str,
    limit: int,
    reverse: bool,
    json: bool,
) -> int:
    """
    Read and write what `ctx.storage.put` and `ctx.storage.kv` keep.

    \b
    perdure kv CLASS NAME get KEY
    perdure kv CLASS NAME put KEY VALUE     VALUE is JSON, or - for standard input
    perdure kv CLASS NAME list [--prefix TEXT] [--limit N] [--reverse]
    perdure kv CLASS NAME delete KEY...

    Values are JSON; what JSON has no word for is {"$bytes": "..."} and the like, both ways. `get` of a key that
    is not there has exit code 1.
    """  # noqa: D301  (click wants the character)
    from perdure._cli.kv import run_kv

    target = {"class_name": class_name, **_named(name, id)}
    return run_kv(
        options, target, action, rest, {"prefix": prefix, "limit": limit, "reverse": reverse}, as_json=json
    )


@on_folder("Run SQL on D1 databases, and apply their migrations.")
@click.argument("words", metavar="ACTION DATABASE [NAME]", nargs=-1, required=True)
def d1(
    options: RunOptions,
    words: tuple[str, ...],
    command: str | None,
    file: str | None,
    json: bool,
    local: bool,
    remote: bool,
    yes: bool,
) -> int:
    """
    Run SQL on a D1 database of the project, or apply its migrations.

    \b
    perdure d1 execute DATABASE --command SQL
    perdure d1 execute DATABASE --file FILE
    perdure d1 migrations create DATABASE NAME
    perdure d1 migrations list DATABASE
    perdure d1 migrations apply DATABASE

    DATABASE is what the configuration says: a binding, a database_name or a database_id. All statements of one execute,
    and of one migration, happen, or none of them; they are durable when this returns. Nothing is asked.
    """  # noqa: D301  (click wants the character)
    from perdure._cli.d1 import run_d1

    if remote:
        from perdure._config.problem import refused

        raise refused(
            "usage/argument",
            "--remote is the database at Cloudflare; Perdure has those of its own data folder alone",
            help="leave it out, or use Cloudflare's tool: npx wrangler d1",
        )
    return run_d1(options, words, command=command, file=file, as_json=json)


@on_folder("Call a method of one object.")
@class_name
@name
@click.argument("method")
@click.argument("args", nargs=-1)
def call(
    options: RunOptions,
    class_name: str,
    name: str,
    method: str,
    args: tuple[str, ...],
    id: bool,
    kw: tuple[str, ...],
    json: bool,
) -> int:
    """
    Call METHOD of one object, as a worker does, and print what it returns.

    An argument is JSON if it can be read as JSON, and else a text: 3 is a number, "3" in quotes a text, home a
    text. Write -- before arguments that begin with a dash. An object that was never used is made by the call.
    """
    from perdure._cli.call import run_call

    return run_call(options, {"class_name": class_name, **_named(name, id)}, method, args, kw, as_json=json)


@on_folder("Write one object to a file.")
@class_name
@name
def export(options: RunOptions, class_name: str, name: str, id: bool, output: str | None) -> int:
    """
    Write what one object stores to a file: its last confirmed state, as a database that every SQLite program opens.

    With a name that ends in .sql it is the text of SQL statements; -o - prints those. The object goes on
    meanwhile. A file that is there is replaced as a whole, or not at all.
    """
    from perdure._cli import transfer

    return transfer.export(options, {"class_name": class_name, **_named(name, id)}, output)


@on_folder("Let a file be what one object stores.")
@class_name
@name
@click.argument("file", metavar="FILE")
def import_(
    options: RunOptions, class_name: str, name: str, file: str, id: bool, yes: bool, leave_out: bool
) -> int:
    """
    Let the database in FILE be what one object stores: a file that `perdure export` made, any SQLite database, or an
    object's file of workerd's or `wrangler dev`, whose keys and values become Perdure's.

    An object that stores something already is replaced, all of it or nothing; that is asked first, unless --yes
    is given. If it is live it is reset, and its callers hear so.
    """
    from perdure._cli import transfer

    target = {"class_name": class_name, **_named(name, id)}
    return transfer.import_(options, target, file, yes=yes, leave_out=leave_out)


@on_folder("Import what `wrangler dev` or workerd has kept.")
@click.argument("folder", metavar="[STATE]", required=False)
def import_state(options: RunOptions, folder: str | None, yes: bool, leave_out: bool, json: bool) -> int:
    """
    Import what `wrangler dev` or workerd has kept: the objects with their ids, SQL tables, keys and values and alarms.

    STATE is the folder of that state, by default .wrangler/state beside the configuration; stop `wrangler dev` first.
    What is here already stays, unless --yes is given.
    """
    from perdure._cli import import_state as implementation

    return implementation.import_state(options, folder, yes=yes, leave_out=leave_out, as_json=json)


@on_folder("Delete one object and everything it stored.")
@class_name
@name
def delete(options: RunOptions, class_name: str, name: str, id: bool, yes: bool) -> int:
    """
    Delete one object and everything it stored. It asks first, unless --yes is given.

    If it is live it is reset, and its callers hear so. The next event finds a new, empty object.
    """
    from perdure._cli import transfer

    return transfer.delete(options, {"class_name": class_name, **_named(name, id)}, yes=yes)


@on_folder("Look whether everything stored is intact.")
def verify(options: RunOptions, json: bool) -> int:
    """
    Look at the database of every object and at the journal; exit code 1 when something is damaged.

    Objects go on meanwhile. On a terminal a bar shows how far it is.
    """
    from perdure._cli.verify import verify

    return verify(options, as_json=json)


@on_folder("Copy everything into another folder, while it is in use.")
@click.argument("dir", metavar="DIR")
def backup(options: RunOptions, dir: str, full: bool, json: bool) -> int:
    """
    Bring the folder DIR to what the data folder holds now: a new folder, or a backup from before.

    Each object is in it as of one of its confirmed commits; what has not changed since the backup before is not
    copied again. DIR is a data folder itself: `perdure serve --data DIR` starts from it.
    """
    from perdure._cli.backup import backup

    return backup(options, dir, full=full, as_json=json)


@on_folder("Let objects leave memory, when what they do is done.")
@click.argument("class_name", metavar="[CLASS]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
def evict(options: RunOptions, class_name: str | None, name: str | None, id: bool, all: bool) -> int:
    """
    Let live objects leave memory: NAME, or with --all those of CLASS, or of every class.

    What an object is doing is waited for, up to 30 s. Nothing is lost: the next event makes it again.
    """
    from perdure._cli.live import run_live

    return run_live(options, "evict", class_name, name, is_id=id, all=all)


@on_folder("Drop objects from memory at once.")
@click.argument("class_name", metavar="[CLASS]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
def abort(options: RunOptions, class_name: str | None, name: str | None, id: bool, all: bool) -> int:
    """
    Drop live objects from memory: NAME, or with --all those of CLASS, or of every class.

    Calls that are running fail, and what they have not committed is undone. What was confirmed stays.
    """
    from perdure._cli.live import run_live

    return run_live(options, "abort", class_name, name, is_id=id, all=all)


@on_folder("Look whether this machine is fit for Perdure.")
def doctor(options: RunOptions, json: bool) -> int:
    """
    Look at versions, limits, the disk and the clock of this machine, and say what to do about each.

    The exit code is 1 when something keeps Perdure from working safely.
    """
    from perdure._cli import doctor as implementation

    return implementation.doctor(options, as_json=json)


COMMANDS = (
    objects,
    sql,
    kv,
    call,
    d1,
    export,
    import_,
    import_state,
    delete,
    evict,
    abort,
    verify,
    backup,
    doctor,
)
