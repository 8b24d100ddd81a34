"""`Promise`, `queueMicrotask`: awaitables with `then`. (cooperative)"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any

from perdure._base.awaitables import finish
from perdure._cloudflare import bridge
from perdure._cloudflare.exceptions import PYTHON_ERROR, JsException, js_error, js_exception
from perdure._cloudflare.tasks import start
from perdure._cloudflare.values import JsArray, JsClass, JsObject, JsValue, js_text
from perdure.errors import PerdureError


class JsPromise(JsValue, metaclass=JsClass):
    """
    What is settled once: await it, or chain with `then`, `catch` and `finally_`.

    `Promise.new(executor)` calls `executor(resolve, reject)`.
    """

    _js_name = "Promise"

    def __init__(self, executor: Callable[..., Any] | None = None) -> None:
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if executor is not None:
            try:
                executor(self._resolve, self._reject)
            except Exception as error:
                self._reject(error)

    def _resolve(self, value: Any = None) -> None:
        if self._future.done():
            return
        if inspect.isawaitable(value):
            start(self._follow(value))
        else:
            self._future.set_result(value)

    def _reject(self, reason: Any = None) -> None:
        if not self._future.done():
            self._future.set_exception(_as_error(reason))

    async def _follow(self, awaitable: Awaitable[Any]) -> None:
        try:
            value = await awaitable
        except asyncio.CancelledError:
            self._future.cancel()
            raise
        except Exception as error:
            self._reject(error)
        else:
            self._resolve(value)

    def __await__(self) -> Generator[Any, Any, Any]:
        return asyncio.shield(self._future).__await__()

    def then(
        self, on_fulfilled: Callable[..., Any] | None = None, on_rejected: Callable[..., Any] | None = None
    ) -> JsPromise:
        """Return the promise of what *on_fulfilled* returns for the value, or *on_rejected* for the error."""
        return promise_of(self._then(on_fulfilled, on_rejected))

    async def _then(
        self, on_fulfilled: Callable[..., Any] | None, on_rejected: Callable[..., Any] | None
    ) -> Any:
        try:
            value = await self
        except Exception as error:
            if on_rejected is None:
                raise
            return await bridge.run(on_rejected, error)
        return value if on_fulfilled is None else await bridge.run(on_fulfilled, value)

    def catch(self, on_rejected: Callable[..., Any]) -> JsPromise:
        return self.then(None, on_rejected)

    def finally_(self, on_settled: Callable[[], Any]) -> JsPromise:
        return promise_of(self._finally(on_settled))

    async def _finally(self, on_settled: Callable[[], Any]) -> Any:
        try:
            return await self
        finally:
            await bridge.run(on_settled)

    @staticmethod
    def resolve(value: Any = None) -> JsPromise:
        """Return the promise of *value*; an awaitable begins now."""
        return value if isinstance(value, JsPromise) else _settled("_resolve", value)

    @staticmethod
    def reject(reason: Any = None) -> JsPromise:
        return _settled("_reject", reason)

    @staticmethod
    def withResolvers() -> JsObject:
        promise = JsPromise()
        return JsObject(promise=promise, resolve=promise._resolve, reject=promise._reject)

    @staticmethod
    def all(items: Iterable[Any]) -> JsPromise:
        """Return the promise of all results, or of the first error."""
        return promise_of(_all(_begun(items)))

    @staticmethod
    def allSettled(items: Iterable[Any]) -> JsPromise:
        """Return the promise of what became of each: `status`, and `value` or `reason`."""
        return promise_of(_all([_outcome(item) for item in _begun(items)]))

    @staticmethod
    def race(items: Iterable[Any]) -> JsPromise:
        """Return the promise of the first that is settled."""
        return promise_of(_race(_begun(items)))

    @staticmethod
    def any(items: Iterable[Any]) -> JsPromise:
        """Return the promise of the first result."""
        return promise_of(_any(_begun(items)))


def _as_error(reason: Any) -> BaseException:
    """Return what is raised for *reason*, which may be any value."""
    if not isinstance(reason, BaseException):
        return js_error("Error", js_text(reason))
    return js_exception(reason, None if isinstance(reason, PerdureError) else PYTHON_ERROR)


def _settled(how: str, value: Any) -> JsPromise:
    promise = JsPromise()
    getattr(promise, how)(value)
    return promise


def promise_of(awaitable: Awaitable[Any]) -> JsPromise:
    """Return the promise of what *awaitable* gives; it begins now."""
    return JsPromise.resolve(awaitable)


def _begun(items: Iterable[Any]) -> list[JsPromise]:
    return [JsPromise.resolve(item) for item in items]


async def _all(awaitables: Iterable[Awaitable[Any]]) -> JsArray:
    return JsArray(await asyncio.gather(*map(finish, awaitables)))


async def _outcome(promise: JsPromise) -> JsObject:
    try:
        return JsObject(status="fulfilled", value=await promise)
    except Exception as error:
        return JsObject(status="rejected", reason=error)


async def _race(promises: list[JsPromise]) -> Any:
    done, _ = await asyncio.wait(
        [promise._future for promise in promises], return_when=asyncio.FIRST_COMPLETED
    )
    return next(future for future in (promise._future for promise in promises) if future in done).result()


async def _any(promises: list[JsPromise]) -> Any:
    errors: list[BaseException] = []
    for step in asyncio.as_completed([promise._future for promise in promises]):
        try:
            return await step
        except Exception as error:
            errors.append(error)
    raise JsException("All promises were rejected", "AggregateError")


def queueMicrotask(function: Callable[[], Any]) -> None:
    """Call *function* as soon as the running code waits."""
    start(bridge.run(function))
