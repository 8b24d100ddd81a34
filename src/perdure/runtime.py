"""Runtime: durable objects in a program of one's own; the one place that chooses and wires the parts. (edge)

```python
async with Runtime(objects=[Counter], data="data") as rt:
    await rt.namespace(Counter).get_by_name("home").hit("x")
```
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from perdure import environment as envs
from perdure import outgoing
from perdure._alarms.triggers import Triggers
from perdure._assets.settings import Assets
from perdure._assets.site import Site
from perdure._base import limits
from perdure._base.clock import Clock, SystemClock
from perdure._base.cron import Cron, CronError
from perdure._base.cron import parse as parse_cron
from perdure._base.current import current_env
from perdure._base.disk import Disk
from perdure._base.observer import Observer, shielded
from perdure._base.registry import Registry
from perdure._config import record as records
from perdure._config.names import binding_name
from perdure._config.plan import plan
from perdure._config.problem import ProblemsFound
from perdure._config.project import Binding, Declared
from perdure._config.state import Delete
from perdure._engine.host import Host, Space
from perdure._engine.live import Live
from perdure._engine.queue import QueueLimits
from perdure._engine.watchdog import Watchdog
from perdure._http.asgi import HttpApp
from perdure._storage.engine import StorageEngine
from perdure._storage.files import RealDisk
from perdure._storage.folder import DataFolder, is_unused
from perdure._storage.journal.journal import Fields, Journal
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import namespace_key
from perdure._storage.notes import add_notes
from perdure._telemetry.log import LogObserver
from perdure.context import DurableObjectState, ExecutionContext, Exports
from perdure.durable_object import DurableObject
from perdure.entrypoint import Entrypoint, EntrypointStub, LoopbackStub, ScheduledController
from perdure.environment import Env, Outside
from perdure.errors import ConfigError, DataFolderError, PerdureError
from perdure.namespace import Namespace
from perdure.resources import D1, KINDS, KV, resources_of
from perdure.runtime_thread import RuntimeThread
from perdure.sync import SyncObjects, run_on
from perdure.web import Request, Response
from perdure.websockets import websocket_of

if TYPE_CHECKING:
    from perdure._admin.admin import Admin
    from perdure._admin.server import ControlSocket

T = TypeVar("T")

NOT_RUNNING = "The runtime is not running: use `async with Runtime(...) as rt:`, or `await rt.start()`."
FORKED = (
    "This process was forked from the one in which the runtime runs: its event loop and its data folder are there. Make "
    "and start a runtime after the fork (gunicorn's post_fork, Celery's worker_process_init), in one process for each "
    "data folder."
)
NO_WORKER = (
    "The application has no worker to answer HTTP. Define `class Default(WorkerEntrypoint)` with "
    "`async def fetch(self, request)`."
)


class _NotRunning:
    """Stands for the space of a namespace while its runtime does not run."""

    def __getattr__(self, name: str) -> Any:
        raise PerdureError(NOT_RUNNING)


_NOT_RUNNING: Any = _NotRunning()


def _by_name(objects: Iterable[type], workers: Collection[type]) -> dict[str, type]:
    """Return class name → class of the objects; an error if these cannot be an application's classes."""
    classes: dict[str, type] = {}
    for cls in (*objects, *workers):
        if not isinstance(cls, type):
            raise TypeError(f"A runtime is given classes, and makes the instances itself; got {cls!r}.")
        if cls in workers and issubclass(cls, DurableObject):
            raise TypeError(
                f"The entrypoint name {cls.__name__} refers to a Durable Object class, but the worker must be a "
                "stateless one: `class Default(WorkerEntrypoint)`."
            )
        if classes.setdefault(cls.__name__, cls) is not cls:
            raise ConfigError(
                f"Two classes are called {cls.__name__}: {classes[cls.__name__].__module__}.{cls.__name__} and "
                f"{cls.__module__}.{cls.__name__}. Their objects could not be told apart: rename one of them."
            )
    for cls in workers:
        classes.pop(cls.__name__, None)
    return classes


def _parsed(crons: Iterable[str | Cron]) -> list[Cron]:
    try:
        return [cron if isinstance(cron, Cron) else parse_cron(cron) for cron in crons]
    except CronError as error:
        raise ConfigError(f"crons: {error}.") from None


class Runtime:
    """
    Owns a data folder and the objects in it, on one event loop.

    Args:
        objects: the durable object classes; each is bound to `env` under its name in UPPER_SNAKE_CASE.
        worker: a `WorkerEntrypoint` class, for `asgi` and `handle`.
        entrypoints: further such classes, which the application's own code reaches as `ctx.exports.Name` (EP-11).
        services: name in `env` → such a class, or (class, props): `await env.AUTH.method(...)` (EP-09).
        data: the data folder, made if it is not there; None keeps everything in a temporary one.
        env: variables for `env`, beside the bindings.
        name: the project's name; ids of objects hang on `<name>-<Class>`.
        unique_keys: class name → another unique key for its ids (MIG-22).
        bindings: name in `env` → class, instead of the default names.
        kv_namespaces: name in `env` → id of a KV namespace, which Perdure keeps itself; or names that are ids too.
        d1_databases: name in `env` → id of a D1 database, which Perdure keeps itself; or names that are ids too.
        assets: a folder of files that are served as they are, in front of the worker, or `Assets` with how.
        crons: cron expressions, in UTC, at whose times the worker's `scheduled` runs (EP-03).
        modules: further modules whose classes may be stored and sent by name.
        debug: errors shown with their source, for development.
        idle_s: seconds without events after which an object leaves memory (LIFE-04).
        queue_events: how many events may wait at one object for their first step (ERR-13).
        queue_bytes: how many bytes of arguments and bodies these may have together (ERR-14).
        queue_wait_s: how long one of them may wait (ERR-15).
        events_per_10_s: how many events one object takes in ten seconds (ERR-16); None: all that it can serve.
        event_timeout_s: how long an event may run before it is cancelled; None: as long as it likes.
        slow_ms: report a step of an object's code that blocks the loop longer; 0 reports none.
        journal_bytes: how large the journal may grow.
        open_stores: how many databases are kept open; the least recently used are closed.
        control: listen at a local socket in the data folder for the commands of operators (`perdure sql` …), which
            else work only while nothing runs there. The socket is for the same user and root alone.
        on_failure: called once if the disk fails and nothing can be made durable any more.
        declared: migrations and exports of a configuration; for the command line.
        role: what others hear who want the data folder meanwhile (`DataFolderInUse.role`); for the command line.
        disk, clock, observer, outside: the world, for tests.

    Raises:
        ConfigError: the classes contradict what was asked, or the data folder.
        DataFolderInUse: another runtime, in this process or another, has the data folder.
    """

    def __init__(
        self,
        objects: Iterable[type] = (),
        *,
        worker: type | None = None,
        entrypoints: Iterable[type] = (),
        services: Mapping[str, type | tuple[type, Mapping[str, Any]]] | None = None,
        data: str | os.PathLike[str] | None = None,
        env: Mapping[str, Any] | None = None,
        name: str = "app",
        unique_keys: Mapping[str, str] | None = None,
        bindings: Mapping[str, type] | None = None,
        kv_namespaces: Mapping[str, str] | Iterable[str] = (),
        d1_databases: Mapping[str, str] | Iterable[str] = (),
        assets: str | os.PathLike[str] | Assets | None = None,
        crons: Iterable[str | Cron] = (),
        modules: Iterable[str] = (),
        debug: bool = False,
        idle_s: float = limits.IDLE_EVICTION_S,
        queue_events: int = limits.QUEUED_EVENTS_MAX,
        queue_bytes: int = limits.QUEUED_BYTES_MAX,
        queue_wait_s: float = limits.QUEUED_S_MAX,
        events_per_10_s: int | None = None,
        event_timeout_s: float | None = None,
        slow_ms: int = limits.SLOW_STEP_MS,
        journal_bytes: int = limits.JOURNAL_BUDGET_BYTES,
        open_stores: int = limits.OPEN_STORES_MAX,
        control: bool = False,
        on_failure: Callable[[BaseException], None] | None = None,
        declared: Declared | None = None,
        role: str = "",
        disk: Disk | None = None,
        clock: Clock | None = None,
        observer: Observer | None = None,
        outside: Outside | None = None,
    ) -> None:
        self._services = {
            name: service if isinstance(service, tuple) else (service, {})
            for name, service in (services or {}).items()
        }
        bound = [cls for cls, _ in self._services.values()]
        self._workers = dict.fromkeys([*([worker] if worker else []), *entrypoints, *bound])
        self._classes = classes = _by_name((*objects, *(bindings or {}).values()), self._workers)
        self._bindings = (
            dict(bindings) if bindings is not None else {binding_name(n): c for n, c in classes.items()}
        )
        self._resources = [*resources_of(KV, kv_namespaces), *resources_of(D1, d1_databases)]
        served = Assets(assets) if isinstance(assets, (str, os.PathLike)) else assets
        self._site = None if served is None else Site(served)
        self._asset_bindings = {} if self._site is None else self._site.bindings
        self._worker = worker
        self._data = data
        self._vars = dict(env or {})
        self._crons = _parsed(crons)
        self._name = name
        self._declared = declared or Declared(unique_keys=dict(unique_keys or {}))
        owners = [*classes.values(), *self._workers]
        self.registry = Registry({*modules, *(cls.__module__.partition(".")[0] for cls in owners)})
        self._debug = debug
        self._idle_s = idle_s
        self._queue_limits = QueueLimits(queue_events, queue_bytes, queue_wait_s, events_per_10_s)
        self._event_timeout_s = event_timeout_s
        self._slow_ms = slow_ms
        self._journal_bytes = journal_bytes
        self._open_stores = open_stores
        self._on_failure = on_failure
        self._role = "server" if control else role
        self._control: ControlSocket | None = None
        self._disk = disk or RealDisk()
        self._clock = clock or SystemClock()
        self._observer = shielded(observer or LogObserver())
        self._outside = outside
        self._folder: DataFolder | None = None
        self._temporary: str | None = None
        self._host: Host | None = None
        self._watchdog: Watchdog | None = None
        self._triggers: Triggers | None = None
        self._namespaces: dict[str, Namespace[Any]] = {name: Namespace(_NOT_RUNNING) for name in classes}
        self._own: tuple[str, ...] = ()
        self._all_namespaces: dict[str, Namespace[Any]] = {}
        self._env: Env | None = None
        self._entrypoint: Entrypoint | None = None
        self._started_by_lifespan = False
        self._pid = os.getpid()
        self._check()

    def _check(self) -> None:
        if self._crons and self._worker is None:
            raise ConfigError(
                "There are cron expressions and no worker to run at their times: give one as `worker`."
            )
        names = Counter(
            (
                *self._bindings,
                *self._services,
                *[name for name, _ in self._resources],
                *self._asset_bindings,
                *self._vars,
            )
        )
        for name, count in names.items():
            if count > 1:
                raise ConfigError(f"{name!r} stands for two things in env: rename one of them.")
        given = {
            "queue_events": self._queue_limits.events,
            "queue_bytes": self._queue_limits.size_bytes,
            "queue_wait_s": self._queue_limits.wait_s,
            "events_per_10_s": self._queue_limits.per_window,
            "event_timeout_s": self._event_timeout_s,
        }
        for name, value in given.items():
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}: it must be above 0 and finite.")

    def _check_process(self) -> None:
        if self._host is not None and self._pid != os.getpid():
            raise PerdureError(FORKED)

    # --- start and stop -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the data folder, bring it to its last confirmed state, and be ready."""
        self._check_process()
        if self._host is not None:
            raise PerdureError("The runtime has been started already.")
        self._pid = os.getpid()
        data = self._data
        if data is None:
            data = self._temporary = tempfile.mkdtemp(prefix="perdure-")
        folder = self._folder = DataFolder.open(data, self._disk, role=self._role)
        begun: list[Journal | StorageEngine] = []  # the last of them closes those before it
        try:
            recorded = self._prepare(folder)
            journal = Journal(self._disk, folder.layout, epoch=folder.epoch, budget_bytes=self._journal_bytes)
            begun.append(journal)
            await journal.start()
            storage = StorageEngine(
                self._disk,
                folder.layout,
                journal,
                open_stores_max=self._open_stores,
                now_s=self._clock.time_s,
            )
            begun.append(storage)
            await storage.start()
        except OSError as error:
            await self._give_up(begun)
            raise DataFolderError(
                f"data folder {folder.path} cannot be brought to its last confirmed state: {error.strerror or error} "
                f"({error.filename or 'while writing'}). Nothing confirmed is lost; start again when that is put right."
            ) from error
        except BaseException:
            await self._give_up(begun)
            raise
        host = self._host = Host(
            storage,
            clock=self._clock,
            observer=self._observer,
            registry=self.registry,
            idle_s=self._idle_s,
            queue_limits=self._queue_limits,
            event_timeout_s=self._event_timeout_s,
            debug=self._debug,
        )
        host.on_failure = self._on_failure
        self._wire(host, recorded)
        is_server = self._role != "command"  # a command on a stopped folder does what it was asked alone
        host.start(runs_alarms=is_server)
        if self._entrypoint is not None and is_server:
            self._triggers = Triggers(
                self._crons,
                self.scheduled,
                clock=self._clock,
                observer=self._observer,
                background=host.background,
            )
            self._triggers.start()
        if self._slow_ms:
            self._watchdog = Watchdog(host, self._slow_ms, self._observer.step_blocked)
            self._watchdog.start()
        if self._role == "server":
            await self._listen_to_operators(folder)

    def _admin(self) -> Admin:
        """Return what carries out the operations of operators."""
        from perdure._admin.admin import Admin

        return Admin(self._running(), self._all_namespaces)

    async def _listen_to_operators(self, folder: DataFolder) -> None:
        from perdure._admin.server import ControlSocket

        control = ControlSocket(self._admin, folder.path)
        try:
            await control.open()
        except OSError as error:  # a file system without sockets is no reason not to serve
            self._observer.control_unavailable(folder.path, error)
        else:
            self._control = control

    def _prepare(self, folder: DataFolder) -> dict[str, records.RecordedClass]:
        """Recover the stores and carry out migrations; return what is recorded of each class."""
        stored = folder.record
        before = records.Record() if stored is None else records.loads(stored)
        bound = tuple(Binding(name, cls.__name__) for name, cls in self._bindings.items())
        # First: after a power loss only the journal may know of a class's objects.
        recover(self._disk, folder.layout, self._observer.recovering)
        unused = {
            name
            for name, kept in before.classes.items()
            if is_unused(self._disk, folder.layout, kept.unique_key)
        }
        steps = plan(
            self._declared,
            before,
            name=self._name,
            defined=tuple(self._classes),
            bindings=bound,
            empty=unused,
        )
        if steps.errors:
            raise ProblemsFound(steps.errors)
        deleted = [step.unique_key for step in steps.steps if isinstance(step, Delete)]
        for unique_key in deleted:
            with suppress(FileNotFoundError):
                shutil.rmtree(folder.layout.namespace(unique_key))
        if deleted:
            self._disk.sync_folder(folder.layout.objects)  # before it is recorded: they must not come back
            add_notes(
                self._disk, folder.layout, [(namespace_key(key), Fields(erased=True)) for key in deleted]
            )
        used = {kept.kind.key for _, kept in self._resources}
        self._own = tuple(sorted({*steps.record.own, *used}))
        record = replace(steps.record, own=self._own)
        if record != before:
            folder.save_record(records.dumps(record))
        keys = self._declared.unique_keys
        return {
            name: record.classes.get(name) or records.RecordedClass(keys.get(name, f"{self._name}-{name}"))
            for name in self._classes
        }

    def _wire(self, host: Host, recorded: Mapping[str, records.RecordedClass]) -> None:
        for class_name, cls in self._classes.items():
            kept = recorded[class_name]
            self._namespaces[class_name]._space = host.add_space(
                class_name, kept.unique_key, cls, self._factory(cls), has_sql=kept.storage == "sqlite"
            )
        own = {key: Namespace[Any](self._own_space(host, key)) for key in self._own}
        self._all_namespaces = {**self._namespaces, **own}
        bound = {
            **{name: self._namespaces[cls.__name__] for name, cls in self._bindings.items()},
            **{name: kept.kind.front(own[kept.kind.key], kept.id) for name, kept in self._resources},
            **self._asset_bindings,
        }
        env = self._env = Env({**self._vars, **bound}, self._outside)
        workers = {
            cls: Entrypoint(cls, lambda props: self._context(host, props), env, self.registry, self._debug)
            for cls in self._workers
        }
        env._add(
            {
                name: EntrypointStub(workers[cls].with_props(props), self.registry)
                for name, (cls, props) in self._services.items()
            }
        )
        stubs = {cls.__name__: LoopbackStub(entrypoint, self.registry) for cls, entrypoint in workers.items()}
        self._exports = Exports({**self._namespaces, **stubs})
        self._entrypoint = None if self._worker is None else workers[self._worker]
        host.as_websocket = websocket_of
        outgoing.join()
        host.context.run(current_env.set, env)
        envs._running.append(env)

    def _own_space(self, host: Host, key: str) -> Space:
        """Add the namespace of a class of Perdure's own; of a newer Perdure's the objects can be looked at."""
        cls = KINDS[key].keeper if key in KINDS else DurableObject
        # How often an application's objects may be called is not said of what they all share.
        unlimited = replace(self._queue_limits, per_window=None)
        return host.add_space(key, key, cls, self._factory(cls), queue_limits=unlimited)

    def _factory(self, cls: type) -> Callable[[Live], Any]:
        return lambda live: cls(DurableObjectState(live, self._exports), self._env)

    def _context(self, host: Host, props: dict[str, Any]) -> ExecutionContext:
        return ExecutionContext(
            self._exports, props, host.background, self._clock, self._observer, self.registry, self._debug
        )

    async def stop(self, *, drain_s: float = limits.DRAIN_S) -> None:
        """
        Let calls in progress finish for up to *drain_s* seconds, confirm every commit, give the folder back.

        Calls that are still running then fail with a `Disconnected` error. Stopping twice is harmless.
        """
        self._check_process()
        host, self._host = self._host, None
        if host is None:
            return
        host.background.discard(asyncio.current_task())  # who stops it is not waited for
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None
        if self._triggers is not None:
            self._triggers.stop()
            self._triggers = None
        # In a task of its own: whoever gives up waiting must not give the folder back under open stores.
        closing = asyncio.get_running_loop().create_task(self._close(host, drain_s))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            host.drain_no_longer()
            await closing
            raise

    async def _close(self, host: Host, drain_s: float) -> None:
        control, self._control = self._control, None
        try:
            if control is not None:
                await control.stop_accepting()
            await host.stop(drain_s)
            if control is not None:
                await control.close()
            await host.storage.close()
            await outgoing.leave()
        finally:
            if self._env is not None:
                envs._running.remove(self._env)
                self._env = None
            for namespace in self._all_namespaces.values():
                namespace._space = _NOT_RUNNING
            self._leave_folder()

    async def _give_up(self, begun: list[Journal | StorageEngine]) -> None:
        """Close what a start that fails has begun: its files, its threads and its hold on the folder."""
        with suppress(Exception):  # the start tells what is wrong
            if begun:
                await begun[-1].close()
        self._leave_folder()

    def _leave_folder(self) -> None:
        if self._folder is not None:
            self._folder.close()
            self._folder = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- use ------------------------------------------------------------------------------------------

    @property
    def env(self) -> Env:
        """Bindings and variables, as the application's own code sees them."""
        self._running()
        assert self._env is not None
        return self._env

    @overload
    def namespace(self, which: type[T]) -> Namespace[T]: ...
    @overload
    def namespace(self, which: str) -> Namespace[Any]: ...
    def namespace(self, which: type[T] | str) -> Namespace[Any]:
        """Return the namespace of a class, by the class or its name; it can be used while the runtime runs."""
        name = which if isinstance(which, str) else which.__name__
        found = self._namespaces.get(name)
        if found is None or (isinstance(which, type) and self._classes[name] is not which):
            raise ConfigError(
                f"{name} is not one of this runtime's object classes; it has {', '.join(sorted(self._classes)) or 'none'}."
            )
        return found

    async def handle(self, request: Request) -> Response:
        """Answer *request* with a file of `assets`, or the worker's `fetch`."""
        self._running()
        worker = None if self._entrypoint is None else self._entrypoint.fetch
        if self._site is not None:
            return await self._site.handle(request, worker)
        if worker is None:
            raise ConfigError(NO_WORKER)
        return await worker(request)

    @overload
    def run(self, work: Callable[[], Awaitable[T]], *, timeout_s: float | None = None) -> T: ...
    @overload
    def run(self, work: Callable[[], T], *, timeout_s: float | None = None) -> T: ...
    @overload
    def run(self, work: Awaitable[T], *, timeout_s: float | None = None) -> T: ...
    def run(self, work: Any, *, timeout_s: float | None = None) -> Any:
        """
        Run *work* on the runtime's event loop, from another thread, and wait for its result.

        Args:
            work: a function that is called on the loop and whose result is awaited if it can be, as in
                `rt.run(lambda: stub.hit("x"))`, or a coroutine.
            timeout_s: how long to wait; then *work* is cancelled. An event that an object has begun goes on.

        Raises:
            TimedOut: the time is over.
            RuntimeError: called on the loop's own thread, which would wait for itself.
            Disconnected: the runtime was stopped meanwhile.
            PerdureError: the runtime does not run, or runs in the process that this one was forked from.
        """
        self._check_process()
        return run_on(self._running(), work, timeout_s)

    def sync(self, *, timeout_s: float | None = None) -> SyncObjects:
        """Return the objects as sync code sees them, each call waiting for its answer for at most *timeout_s*."""
        return SyncObjects(self, timeout_s)

    def in_thread(self) -> RuntimeThread:
        """Return what runs this runtime on an event loop in a thread of its own, for programs without a loop."""
        return RuntimeThread(self)

    async def scheduled(self, cron: str, scheduled_time: datetime | None = None) -> ScheduledController:
        """
        Run the worker's `scheduled` once, as the cron trigger *cron* would for that time; it need not be one of its own.

        Returns when the handler, and what it gave to `wait_until`, is done.

        Raises:
            ConfigError: there is no worker.
            Exception: what the handler raised, or one of its tasks.
        """
        self._running()
        if self._entrypoint is None:
            raise ConfigError(NO_WORKER)
        time = scheduled_time or datetime.fromtimestamp(self._clock.time_s(), UTC)
        controller = ScheduledController(time.astimezone(UTC), cron)
        await self._entrypoint.scheduled(controller)
        return controller

    @property
    def asgi(self) -> HttpApp:
        """
        The worker as an ASGI application.

        As a server's own application its lifespan starts and stops the runtime; mounted in another one,
        start the runtime in that one's lifespan.
        """
        return HttpApp(
            self.handle, debug=self._debug, on_start=self._lifespan_start, on_stop=self._lifespan_stop
        )

    async def _lifespan_start(self) -> None:
        if self._host is None:
            await self.start()
            self._started_by_lifespan = True

    async def _lifespan_stop(self) -> None:
        if self._started_by_lifespan:
            self._started_by_lifespan = False
            await self.stop()

    def _running(self) -> Host:
        if self._host is None:
            raise PerdureError(NOT_RUNNING)
        return self._host

    def __repr__(self) -> str:
        state = "running" if self._host is not None else "stopped"
        return f"<Runtime {self._name!r} {state}: {', '.join(self._classes) or 'no objects'}>"
