"""Works on a data folder that nothing runs on: takes it, does one operation, gives it back. (edge)

Classes are known from the folder's own record, and have no code; only a call imports the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pathlib
import sys
from collections.abc import Callable

from perdure._admin.operations import Answer, AnyOperation, Call, Script
from perdure._base.current import Running
from perdure._cli import prepare
from perdure._cli.host import raise_descriptor_limit, runtime_of
from perdure._cli.options import RunOptions
from perdure._config.load import read_record
from perdure._config.problem import ProblemsFound
from perdure._config.project import Declared
from perdure._storage.layout import Layout
from perdure._telemetry.log import LogObserver
from perdure.durable_object import DurableObject
from perdure.errors import DataFolderInUse
from perdure.runtime import Runtime

Tell = Callable[[int, int | None, str], None]


def directly(options: RunOptions, data: pathlib.Path, operation: AnyOperation, tell: Tell) -> Answer:
    """
    Carry out *operation*; return its answer.

    Raises:
        DataFolderInUse: somebody has the folder.
        ProblemsFound: what else stands in the way.
    """
    _become_owner(data)
    raise_descriptor_limit()
    try:
        if isinstance(operation, Call):
            # What the application prints is none of the answer.
            with contextlib.redirect_stdout(sys.stderr):
                runtime = runtime_of(_prepared(options), options, role="command", observer=_CallersObserver())
                return asyncio.run(_during(runtime, operation, tell))
        databases = [operation.name or ""] if isinstance(operation, Script) else []
        return asyncio.run(_during(_without_application(data, databases), operation, tell))
    except (ProblemsFound, DataFolderInUse):
        raise
    except Exception as error:
        raise ProblemsFound([prepare.data_problem(error, data)]) from error


@functools.cache
def _prepared(options: RunOptions) -> prepare.Prepared:
    """Return the application; a process can import it once, and may have to try for the folder again."""
    return prepare.prepare(options)


class _CallersObserver(LogObserver):
    """Leaves out what the one caller is told as the outcome of the call."""

    def construct_failed(self, live: Running, error: BaseException) -> None:
        pass

    def object_reset(self, live: Running, error: BaseException) -> None:
        pass


def _without_application(data: pathlib.Path, databases: list[str]) -> Runtime:
    """Return a runtime with the classes that the folder knows, none of which has any code, and with these D1 databases."""
    record = read_record(pathlib.Path(Layout(str(data)).classes))
    classes = {name: type(name, (DurableObject,), {}) for name in record.classes}
    return Runtime(
        bindings=classes,
        d1_databases=databases,
        data=data,
        declared=Declared(as_recorded=True),
        role="command",
        slow_ms=0,
    )


async def _during(runtime: Runtime, operation: AnyOperation, tell: Tell) -> Answer:
    async with runtime:
        return await runtime._admin().run(operation, tell)


def _become_owner(data: pathlib.Path) -> None:
    """As root, work as the owner of the folder: files of root's in it would keep a server of his from starting."""
    folder = next(folder for folder in (data, *data.parents) if folder.exists())  # it may have to be made
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
