"""
The pytest plugin: the fixture `perdure`, its marker and options. (edge)

It forces no way to run `async def` tests: pytest-asyncio, anyio or a `conftest.py` of one's own does that, and the runtime
starts in the loop in which the test runs, around its body. A test with the fixture that nobody else runs is run here, so
plain pytest is enough. In a session that does not use it nothing of Perdure's runtime
is imported.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from perdure.testing.harness import Perdure

MARKER: Final = (
    "perdure(classes=[...], config=PATH, vars={...}, data=FOLDER, strict=False, **options): the application of the fixture "
    "perdure; the innermost marker that names classes or a config wins"
)
NOT_ASYNCIO: Final = (
    "The fixture perdure needs asyncio, and this test runs on another event loop. With anyio let the fixture "
    'anyio_backend return "asyncio".'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, which have their place in the configuration too."""
    group = parser.getgroup("perdure", "durable objects")
    group.addoption(
        "--perdure-config",
        metavar="PATH",
        help="the application under test: an app.py, a folder or a configuration file",
    )
    group.addoption(
        "--perdure-keep-state",
        action="store_true",
        help="keep the data folder of each test, and tell where it is when the test fails",
    )
    group.addoption(
        "--perdure-cloudflare",
        action="store_true",
        help="tests may import workers, js and pyodide, and the modules of the application under test, as Cloudflare's "
        "Python Workers do",
    )
    group.addoption("--perdure-seed", metavar="N", help="run simulated tests with this seed alone")
    group.addoption("--perdure-seeds", metavar="N", help="how many seeds each test of `explore` tries")
    parser.addini("perdure_config", "the application under test, from here", default="")
    parser.addini("perdure_cloudflare", "the same as --perdure-cloudflare", "bool", False)
    parser.addini("perdure_strict", "fail tests that leave alarms, work or unheard failures", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and pass on to the decorators what is for them: they work without pytest too."""
    config.addinivalue_line("markers", MARKER)
    given = {
        "PERDURE_SEED": config.getoption("perdure_seed"),
        "PERDURE_SEEDS": config.getoption("perdure_seeds"),
        "PERDURE_TEST_CONFIG": _named(config),
        "PERDURE_TEST_STRICT": config.getini("perdure_strict") or None,
    }
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    if config.getoption("perdure_cloudflare") or config.getini("perdure_cloudflare"):
        _prepare_for_cloudflare(config)


@pytest.fixture
def perdure(request: pytest.FixtureRequest) -> Iterator[Perdure]:
    """Give a runtime for this test: storage of its own, no port. The marker `perdure` names classes or a configuration."""
    app = _make(request.node)
    yield app
    if app.is_running:
        app.forget()
        pytest.fail("the test runtime was started and not stopped; use `async with perdure:`", pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Let an `async def` test run inside of its runtime."""
    app = getattr(item, "funcargs", {}).get("perdure")
    if app is None or not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
        yield
        return
    test = item.obj
    item.obj = _inside(app, test)
    try:
        yield
    finally:
        item.obj = test


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test with the fixture if no plugin before has: this comes after theirs, and before pytest's own refusal."""
    if "perdure" not in pyfuncitem.funcargs or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Tell what the runtime has said, and where its data is, when a test fails."""
    outcome = yield
    app = getattr(item, "funcargs", {}).get("perdure")
    report = outcome.get_result()
    if app is None or call.when != "call" or not report.failed:
        return
    if app.logs:
        report.sections.append(("perdure", "\n".join(map(str, app.logs))))
    if item.config.getoption("perdure_keep_state") and app.folder is not None:
        report.sections.append(("perdure data", f"{app.folder}\nperdure objects --data {app.folder}"))


def _inside(app: Perdure, test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def run(**arguments: Any) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pytest.fail(NOT_ASYNCIO, pytrace=False)
        async with app:
            await test(**arguments)

    return run


def _make(item: pytest.Item) -> Perdure:
    from perdure.errors import ConfigError
    from perdure.testing.harness import runtime

    settings = _settings(item)
    try:
        return runtime(*settings.pop("classes", ()), **settings)
    except ConfigError as error:  # its text is whole: no traceback adds anything
        pytest.fail(str(error), pytrace=False)


def _settings(item: pytest.Item) -> dict[str, Any]:
    """Return the arguments of `testing.runtime`, from markers, options and the configuration of pytest."""
    config = item.config
    settings: dict[str, Any] = {"strict": config.getini("perdure_strict")}
    for mark in reversed(list(item.iter_markers("perdure"))):
        if mark.args:
            pytest.fail(f"the marker perdure takes keywords alone: {MARKER}", pytrace=False)
        given = dict(mark.kwargs)
        if "config" in given:
            given["config"] = item.path.parent / given["config"]
        if "classes" in given or "config" in given:
            settings.pop("classes", None)
            settings.pop("config", None)
        settings |= given
    if "classes" not in settings and "config" not in settings:
        settings["config"] = _config(item)
    if config.getoption("perdure_keep_state"):
        settings["keep_in"] = config._tmp_path_factory.mktemp("perdure")  # type: ignore[attr-defined]
    return settings


def _config(item: pytest.Item) -> Path:
    """Return what the option or pytest's configuration names, else the application nearest above the test's file."""
    from perdure._config.load import nearest_application

    named = _named(item.config)
    return nearest_application(item.path.parent, item.config.rootpath) if named is None else named


def _prepare_for_cloudflare(config: pytest.Config) -> None:
    """Let test files import what the application under test imports, before they are collected."""
    from perdure._cloudflare.load import prepare
    from perdure._config.load import load_project, nearest_application
    from perdure._config.problem import ProblemsFound

    application = _named(config) or nearest_application(config.invocation_params.dir, config.rootpath)
    try:
        project = load_project(os.fspath(application))
    except ProblemsFound as found:
        raise pytest.UsageError(f"--perdure-cloudflare: {found}") from None
    prepare(project)
    folder = str(project.main.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _named(config: pytest.Config) -> Path | None:
    """Return the application that the option names, or pytest's configuration."""
    option, configured = config.getoption("perdure_config"), config.getini("perdure_config")
    if option:
        return Path(config.invocation_params.dir, option)
    return Path(config.rootpath, configured) if configured else None
