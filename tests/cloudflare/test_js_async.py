"""The module `js`: promises, timers, events and `crypto`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from perdure._cloudflare import js
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.pyodide.ffi import create_once_callable, create_proxy, to_js


async def fail(text: str = "no") -> None:
    raise ValueError(text)


async def error_of(awaitable: Any) -> JsException:
    """Return the JsException that an await raises."""
    with pytest.raises(JsException) as caught:
        await awaitable
    return caught.value


# --- promises --------------------------------------------------------------------------------------


@pytest.mark.members("js.Promise.resolve", "js.Promise.reject", "js.Promise.new", "js.Promise")
async def test_a_promise_is_awaited_more_than_once():
    promise = js.Promise.resolve(asyncio.sleep(0, 5))
    assert (await promise, await promise) == (5, 5)
    assert js.Promise.resolve(promise) is promise
    assert await js.Promise.new(lambda resolve, reject: resolve(7)) == 7
    assert (await error_of(js.Promise.new(lambda resolve, reject: reject("why")))).message == "why"
    assert isinstance(await error_of(js.Promise.reject(KeyError("k"))), KeyError)


async def test_what_an_executor_raises_rejects_the_promise():
    assert isinstance(await error_of(js.Promise.new(lambda resolve, reject: 1 / 0)), ZeroDivisionError)


async def test_a_promise_is_chained():
    seen: list[str] = []
    chain = (
        js.Promise.resolve(1)
        .then(lambda value: value + 1)
        .then(lambda value: fail("late"))
        .then(lambda value: seen.append("never"))
        .catch(lambda error: f"caught {error.message}")
        .finally_(lambda: seen.append("done"))
    )
    assert await chain == "caught ValueError: late"
    assert seen == ["done"]


@pytest.mark.members("js.Promise.all", "js.Promise.allSettled", "js.Promise.race", "js.Promise.any")
async def test_several_promises_at_once():
    assert await js.Promise.all([asyncio.sleep(0, 1), js.Promise.resolve(2), 3]) == [1, 2, 3]
    settled = await js.Promise.allSettled([1, fail()])
    assert [outcome.status for outcome in settled] == ["fulfilled", "rejected"]
    assert await js.Promise.race([asyncio.Event().wait(), asyncio.sleep(0, "fast")]) == "fast"
    assert await js.Promise.any([fail(), asyncio.sleep(0, "good")]) == "good"
    assert (await error_of(js.Promise.all([fail()]))).message == "ValueError: no"
    assert (await error_of(js.Promise.any([fail()]))).name == "AggregateError"


@pytest.mark.members("js.Promise.withResolvers")
async def test_resolvers_are_given_beside_the_promise():
    made = js.Promise.withResolvers()
    made.resolve(5)
    made.reject("too late")
    assert await made.promise == 5


@pytest.mark.members("js.queueMicrotask")
async def test_a_microtask_runs_when_the_code_waits():
    done = asyncio.Event()
    js.queueMicrotask(create_once_callable(done.set))
    assert not done.is_set()
    await done.wait()


# --- timers ----------------------------------------------------------------------------------------


@pytest.mark.members("js.setTimeout", "js.clearTimeout", "pyodide.ffi.create_proxy")
async def test_a_timer_calls_plain_and_async_functions_with_their_arguments():
    calls: asyncio.Queue[Any] = asyncio.Queue()

    async def later(value: str) -> None:
        await calls.put(value)

    js.setTimeout(create_proxy(lambda *args: calls.put_nowait(args)), 0, 1, 2)
    js.setTimeout(later, None, "async")
    assert {await calls.get(), await calls.get()} == {(1, 2), "async"}


async def test_a_cleared_timer_does_not_call():
    calls: list[int] = []
    done = asyncio.Event()
    js.clearTimeout(js.setTimeout(lambda: calls.append(1), 0))
    js.clearTimeout(12345678)
    js.clearTimeout()
    js.setTimeout(done.set, 1)
    await done.wait()
    assert calls == []


@pytest.mark.members("js.setInterval", "js.clearInterval")
async def test_an_interval_calls_until_it_is_cleared_by_its_own_function():
    calls: list[int] = []
    done = asyncio.Event()

    async def tick() -> None:
        calls.append(1)
        if len(calls) == 3:
            js.clearInterval(number)
            await asyncio.sleep(0)  # it goes on to its end
            done.set()

    number = js.setInterval(tick, 0)
    await done.wait()
    again = asyncio.Event()
    js.setTimeout(again.set, 5)
    await again.wait()
    assert len(calls) == 3


async def test_what_a_timers_function_raises_is_logged(caplog: pytest.LogCaptureFixture):
    done = asyncio.Event()

    def broken() -> None:
        js.setTimeout(done.set, 0)
        raise ValueError("in the timer")

    with caplog.at_level(logging.ERROR, "perdure"):
        js.setTimeout(broken, 0)
        await done.wait()
    assert "a timer's function failed, and nobody waits for it" in caplog.text
    assert "in the timer" in caplog.text


def test_a_timer_needs_a_handler():
    with pytest.raises(RuntimeError, match=r"within global scope: setTimeout\(\) works in a handler"):
        js.setTimeout(print, 0)


async def test_a_timer_calls_functions_only():
    with pytest.raises(TypeError, match="A timer calls a function; got str"):
        js.setTimeout("alert(1)", 0)


@pytest.mark.members("js.scheduler.wait", "js.scheduler")
async def test_the_scheduler_waits():
    before = js.performance.now()
    await js.scheduler.wait(5)
    assert js.performance.now() - before >= 4


# --- events ----------------------------------------------------------------------------------------


@pytest.mark.members("js.EventTarget", "js.Event", "js.CustomEvent")
async def test_listeners_are_told_plain_ones_at_once_and_async_ones_soon():
    seen: list[Any] = []
    done = asyncio.Event()

    async def slow(event: Any) -> None:
        seen.append("async")
        done.set()

    target = js.EventTarget.new()
    plain = create_proxy(lambda event: seen.append((event.type, event.detail, event.target is target)))
    target.addEventListener("x", slow)
    target.addEventListener("x", plain)
    target.addEventListener("x", plain)
    target.dispatchEvent(js.CustomEvent.new("x", detail=5))
    assert seen == [("x", 5, True)]
    await done.wait()
    target.removeEventListener("x", plain)
    target.removeEventListener("x", slow)
    target.dispatchEvent(js.CustomEvent.new("x"))
    assert len(seen) == 2


def test_a_listener_that_fails_does_not_keep_the_others_from_being_told(caplog: pytest.LogCaptureFixture):
    seen: list[str] = []
    target = js.EventTarget.new()
    target.addEventListener("x", lambda event: 1 / 0)
    target.addEventListener("x", lambda: seen.append("told"), to_js({"once": True}))
    target.onx = lambda event: seen.append("handler")
    with caplog.at_level(logging.ERROR, "perdure"):
        target.dispatchEvent(js.Event.new("x"))
        target.dispatchEvent(js.Event.new("x"))
    assert seen == ["told", "handler", "handler"]
    assert "a listener of 'x' failed" in caplog.text


def test_an_event_may_be_prevented():
    target = js.EventTarget.new()
    target.addEventListener("x", lambda event: event.preventDefault())
    assert not target.dispatchEvent(js.Event.new("x"))
    assert js.MessageEvent.new("message", {"data": "d"}).data == "d"
    assert js.CloseEvent.new("close", code=1000).code == 1000


# --- crypto ----------------------------------------------------------------------------------------


@pytest.mark.members("js.crypto.randomUUID", "js.crypto.getRandomValues")
def test_random_values_fill_what_they_are_given():
    array = js.Uint8Array.new(16)
    assert js.crypto.getRandomValues(array) is array
    assert any(array)
    data = bytearray(16)
    js.crypto.getRandomValues(create_proxy(data))
    assert any(data)
    assert any(js.crypto.getRandomValues(to_js(bytes(16))))
    assert len(js.crypto.randomUUID()) == 36


@pytest.mark.parametrize(
    "value", [js.Float64Array.new(2), [0, 0], js.Uint8Array.new(65_537)], ids=["float", "list", "large"]
)
def test_random_values_do_not_fill_others(value: Any):
    with pytest.raises(JsException, match="TypeMismatchError|QuotaExceededError"):
        js.crypto.getRandomValues(value)


@pytest.mark.members("js.crypto.subtle.digest", "js.crypto.subtle")
@pytest.mark.parametrize(
    "algorithm", ["SHA-256", "sha-256", {"name": "SHA-256"}, to_js({"name": "SHA-256"})], ids=str
)
async def test_a_digest(algorithm: Any):
    digest = await js.crypto.subtle.digest(algorithm, js.TextEncoder.new().encode("abc"))
    assert js.Uint8Array.new(digest).to_bytes().hex().startswith("ba7816bf8f01cfea")


@pytest.mark.members(
    "js.crypto.subtle.importKey",
    "js.crypto.subtle.sign",
    "js.crypto.subtle.verify",
    "js.crypto.subtle.exportKey",
)
async def test_hmac_signs_and_verifies():
    algorithm = to_js({"name": "HMAC", "hash": "SHA-256"}, dict_converter=js.Object.fromEntries)
    key = await js.crypto.subtle.importKey("raw", b"key", algorithm, True, to_js(["sign", "verify"]))
    signature = await js.crypto.subtle.sign("HMAC", key, b"The quick brown fox jumps over the lazy dog")
    assert signature.hex() == "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert await js.crypto.subtle.verify(
        "HMAC", key, signature, b"The quick brown fox jumps over the lazy dog"
    )
    assert not await js.crypto.subtle.verify("HMAC", key, signature, b"another")
    web_key = await js.crypto.subtle.exportKey("jwk", key)
    again = await js.crypto.subtle.importKey("jwk", web_key, algorithm, False, ["sign"])
    assert await js.crypto.subtle.sign("HMAC", again, b"x") == await js.crypto.subtle.sign("HMAC", key, b"x")


@pytest.mark.members("js.crypto.subtle.encrypt", "js.crypto.subtle.decrypt", "js.crypto.subtle.generateKey")
@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "AES-GCM", "iv": bytes(12), "additionalData": b"more"},
        {"name": "AES-GCM", "iv": bytes(12), "tagLength": 96},
        {"name": "AES-CBC", "iv": bytes(16)},
        {"name": "AES-CTR", "counter": bytes(16), "length": 64},
    ],
    ids=lambda algorithm: algorithm["name"],
)
async def test_aes_encrypts_and_decrypts(algorithm: Any):
    key = await js.crypto.subtle.generateKey(
        {"name": algorithm["name"], "length": 256}, True, ["encrypt", "decrypt"]
    )
    sealed = await js.crypto.subtle.encrypt(algorithm, key, b"secret")
    assert sealed != b"secret"
    assert await js.crypto.subtle.decrypt(algorithm, key, sealed) == b"secret"


async def test_what_was_tampered_with_is_not_decrypted():
    key = await js.crypto.subtle.generateKey(
        {"name": "AES-GCM", "length": 128}, False, ["encrypt", "decrypt"]
    )
    algorithm = {"name": "AES-GCM", "iv": bytes(12)}
    sealed = bytearray(await js.crypto.subtle.encrypt(algorithm, key, b"secret"))
    sealed[0] ^= 1
    for data in (sealed, b"short"):
        assert (await error_of(js.crypto.subtle.decrypt(algorithm, key, data))).name == "OperationError"


@pytest.mark.members("js.crypto.subtle.deriveBits", "js.crypto.subtle.deriveKey")
async def test_keys_are_derived():
    password = await js.crypto.subtle.importKey(
        "raw", b"password", "PBKDF2", False, ["deriveBits", "deriveKey"]
    )
    algorithm = {"name": "PBKDF2", "hash": "SHA-256", "salt": b"salt", "iterations": 2}
    bits = await js.crypto.subtle.deriveBits(algorithm, password, 256)
    assert bits.hex() == "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"
    key = await js.crypto.subtle.deriveKey(
        algorithm, password, {"name": "AES-GCM", "length": 256}, True, ["encrypt"]
    )
    assert await js.crypto.subtle.exportKey("raw", key) == bits


async def test_hkdf_is_that_of_its_standard():
    """The first test case of RFC 5869."""
    secret = await js.crypto.subtle.importKey("raw", b"\x0b" * 22, "HKDF", False, ["deriveBits"])
    bits = await js.crypto.subtle.deriveBits(
        {"name": "HKDF", "hash": "SHA-256", "salt": bytes(range(13)), "info": bytes(range(0xF0, 0xFA))},
        secret,
        336,
    )
    assert bits.hex().startswith("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
    assert len(bits) == 42


async def test_what_crypto_does_not_do_says_what_it_does():
    error = await error_of(js.crypto.subtle.importKey("raw", b"", "RSA-OAEP"))
    assert (
        "NotSupportedError: Unrecognized or unimplemented algorithm 'RSA-OAEP': here are HMAC, AES-GCM"
        in str(error)
    )
    assert (await error_of(js.crypto.subtle.importKey("spki", b"", "AES-GCM"))).name == "NotSupportedError"
    assert (await error_of(js.crypto.subtle.importKey("raw", b"12345", "AES-GCM"))).name == "DataError"
    assert (
        await error_of(js.crypto.subtle.generateKey({"name": "AES-GCM", "length": 5}))
    ).name == "OperationError"
    key = await js.crypto.subtle.importKey("raw", bytes(16), "AES-GCM", False, ["encrypt"])
    assert (await error_of(js.crypto.subtle.exportKey("raw", key))).name == "InvalidAccessError"
    assert (
        await error_of(js.crypto.subtle.decrypt({"name": "AES-GCM"}, key, b""))
    ).name == "InvalidAccessError"
    with pytest.raises(TypeError, match=r"data are bytes.*got str. Encode it"):
        await js.crypto.subtle.digest("SHA-256", "text")


@pytest.mark.members("js.crypto.subtle.timingSafeEqual")
def test_buffers_are_compared_in_constant_time():
    assert js.crypto.subtle.timingSafeEqual(b"ab", js.Uint8Array.new(b"ab"))
    with pytest.raises(TypeError, match="same byte length"):
        js.crypto.subtle.timingSafeEqual(b"a", b"ab")
