"""Tests in a simulated world: with one seed, with many, and with a crash at every point. (cooperative)

Each decorator makes a plain function of an `async def` one, so pytest, its asyncio plugins and unittest all run it. Its first
parameter (after `self`) is the `Simulation`; the others are what they were: fixtures, parameters. A decorator without classes
means the application nearest above the test, as the fixture `perdure` does; a `config` is found from the test's folder.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from perdure._config.load import nearest_application
from perdure.testing.simulation import run_simulation

SEED: Final = "PERDURE_SEED"
"""The environment variable, and option `--perdure-seed`, that lets one seed run alone."""
SEEDS: Final = "PERDURE_SEEDS"
"""… and `--perdure-seeds`: how many each test tries."""
POINT: Final = "PERDURE_CRASH_AT"
"""Lets `crash_at_every_point` crash at one point alone, by its number."""
CONFIG: Final = "PERDURE_TEST_CONFIG"
"""The application under test, where a decorator names none: so pytest's `--perdure-config` gets here."""
STRICT: Final = "PERDURE_TEST_STRICT"
"""Set by pytest's `perdure_strict`: tests that leave something behind fail, unless they say otherwise."""

Test = Callable[..., Awaitable[None]]
Runs = Callable[[Callable[..., None]], None]


def simulated(*classes: type, **options: Any) -> Callable[[Test], Callable[..., None]]:
    """
    Run a test in a simulated world; *classes* and *options* are those of `run_simulation`.

    ```python
    @simulated(Counter)
    async def test_a_month(sim):
        await sim.advance(days=30)
    ```
    """

    def runs(run: Callable[..., None]) -> None:
        seed = _only_seed(options.get("seed", 0))
        _replayable(run, f"Replay it with --perdure-seed {seed}, or {SEED}={seed}.", seed=seed)

    return _decorator(classes, options, runs)


def explore(
    *classes: type, seeds: int = 100, first: int = 0, **options: Any
) -> Callable[[Test], Callable[..., None]]:
    """
    Run a test once for each of *seeds* seeds, from *first*: as many orders of steps and delays of disks.

    It ends with the first that fails, and says which that was; `--perdure-seed` replays it.
    """

    def runs(run: Callable[..., None]) -> None:
        only = _only_seed(None)
        count = int(os.environ.get(SEEDS, seeds))
        for seed in range(first, first + count) if only is None else [only]:
            _replayable(
                run,
                f"It failed with seed {seed}. Replay it with --perdure-seed {seed}, or {SEED}={seed}.",
                seed=seed,
            )

    return _decorator(classes, options, runs)


def crash_at_every_point(*classes: type, **options: Any) -> Callable[[Test], Callable[..., None]]:
    """
    Run a test without a crash, and then once for each point that it reached, with a power loss there.

    The test starts the process again by `await sim.restart()`, and may find what any crash may leave: calls that fail with
    `Disconnected` may have happened or not, those that were answered have. The points are those of `perdure.testing.faults`.
    """

    def runs(run: Callable[..., None]) -> None:
        seed = _only_seed(options.get("seed", 0))
        points: list[str] = []
        _replayable(run, "It failed without any crash.", seed=seed, points=points)
        only = os.environ.get(POINT)
        for index in range(len(points)) if only is None else [int(only)]:
            _replayable(
                run,
                f"It failed with a crash at point {index} of {len(points)}, {points[index]}. "
                f"Replay it with {POINT}={index} {SEED}={seed}.",
                seed=seed,
                crash_at=index,
            )

    return _decorator(classes, options, runs)


def _only_seed(otherwise: Any) -> Any:
    given = os.environ.get(SEED)
    return otherwise if given is None else int(given)


def _replayable(run: Callable[..., None], how: str, **options: Any) -> None:
    try:
        run(**options)
    except BaseException as error:
        error.add_note(how)
        raise


def _decorator(
    classes: tuple[type, ...], options: dict[str, Any], runs: Runs
) -> Callable[[Test], Callable[..., None]]:
    wrong = next((thing for thing in classes if not isinstance(thing, type)), None)
    if wrong is not None:
        name = getattr(wrong, "__qualname__", repr(wrong))
        raise TypeError(
            f"the decorators of simulations take classes; got {name}: write @simulated(Counter), or @simulated() for the "
            "application nearest above the test."
        )

    def decorate(test: Test) -> Callable[..., None]:
        parameters = list(inspect.signature(test).parameters.values())
        has_self = bool(parameters) and parameters[0].name == "self"
        if len(parameters) <= has_self:
            raise TypeError(f"{test.__qualname__}() takes no simulation: give it a first parameter, `sim`.")
        sim_name = parameters.pop(has_self).name

        @functools.wraps(test)
        def run_test(*args: Any, **arguments: Any) -> None:
            __tracebackhide__ = True
            given = {"strict": STRICT in os.environ, **options}
            if not classes:
                given["config"] = _application(test, options.get("config"))

            def run(**more: Any) -> None:
                run_simulation(
                    lambda sim: test(*args, **arguments, **{sim_name: sim}), *classes, **{**given, **more}
                )

            try:
                runs(run)
            except BaseException as error:
                error.__traceback__ = _from_test(error, test)
                raise

        del run_test.__wrapped__  # else pytest looks at the coroutine function
        run_test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run_test

    return decorate


def _application(test: Test, config: str | os.PathLike[str] | None) -> Path:
    folder = Path(inspect.getfile(test)).parent
    if config is not None:
        return folder / config
    named = os.environ.get(CONFIG)
    return nearest_application(folder) if named is None else Path(named)


def _from_test(error: BaseException, test: Test) -> TracebackType | None:
    """Return the part of the traceback that begins in the test: above it are the loops that ran it, which say nothing."""
    code = inspect.unwrap(test).__code__
    begin = error.__traceback__
    while begin is not None and begin.tb_frame.f_code is not code:
        begin = begin.tb_next
    return begin if begin is not None or isinstance(error, AssertionError) else error.__traceback__
