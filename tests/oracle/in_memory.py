"""Plays the steps of a scenario on a test runtime of `perdure.testing`: in this process, without a port. (cooperative)"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perdure import Response
from perdure.testing import Perdure, WebSocketClosed, WebSocketPeer, WebSocketRefused, run_simulation

from .mapping import folded
from .player import RECV_TIMEOUT, Normaliser


class InMemoryPlayer:
    """See the module; `player.Player` does the same over HTTP."""

    def __init__(self, app: Perdure) -> None:
        self.app = app
        self.sockets: dict[str, WebSocketPeer] = {}
        self.told: set[str] = set()  # sockets whose Close was an answer
        self.closed: set[str] = set()
        self.closing: list[asyncio.Task[None]] = []

    async def play(self, scenario: dict[str, Any]) -> list[Any]:
        norm = Normaliser(scenario.get("exact_ids", False))
        try:
            return [norm.value(await self.step(step)) for step in scenario["steps"]]
        finally:
            for task in self.closing:
                task.cancel()

    async def step(self, step: dict[str, Any]) -> Any:
        do: Callable[[dict[str, Any]], Any] = getattr(self, f"do_{step['do']}")
        return await do(step)

    async def do_http(self, step: dict[str, Any]) -> Any:
        body = json.dumps(step["json"]).encode() if "json" in step else step.get("body")
        headers = {"content-type": "application/json"} if "json" in step else {}
        response = await self.app.fetch(
            step["path"],
            method=step.get("method", "GET"),
            body=body,
            headers={**headers, **step.get("headers", {})},
        )
        shown = {name: response.headers.get(name) for name in step.get("show_headers", [])}
        return await said(response) | ({"headers": shown} if shown else {})

    async def _post(self, path: str, step: dict[str, Any]) -> Any:
        answer = await self.do_http({"method": "POST", "path": path, "json": step.get("args", [])})
        return answer["json"] if answer.get("status") == 200 and "json" in answer else answer

    async def do_call(self, step: dict[str, Any]) -> Any:
        return await self._post(
            "/call/" + "/".join(quote(step[key], "") for key in ("class", "object", "method")), step
        )

    async def do_worker(self, step: dict[str, Any]) -> Any:
        return await self._post(f"/worker/{step['function']}", step)

    async def do_parallel(self, step: dict[str, Any]) -> Any:
        tasks = []
        for inner in step["steps"]:
            tasks.append(asyncio.ensure_future(self.step(inner)))
            await asyncio.sleep(step.get("stagger_ms", 0) / 1000)
        return await asyncio.gather(*tasks)

    async def do_sleep(self, step: dict[str, Any]) -> None:
        await asyncio.sleep(step["ms"] / 1000)

    async def do_restart(self, step: dict[str, Any]) -> None:
        await self.app.restart()

    async def do_evict(self, step: dict[str, Any]) -> Any:
        outcome = await self._post(f"/__evict/{step['class']}/{step['object']}", step)
        return "evicted" if "ok" in outcome else outcome

    async def do_ws_open(self, step: dict[str, Any]) -> Any:
        try:
            ws = await self.app.websocket(
                step["path"],
                protocols=step.get("protocols") or (),
                headers=step.get("headers"),
                answers_close=False,
            )
        except WebSocketRefused as refused:
            return await said(refused.response)
        self.sockets[step["ws"]] = ws
        self.told.discard(step["ws"])
        self.closed.discard(step["ws"])
        return {"status": 101} | ({"protocol": ws.protocol} if ws.protocol else {})

    async def do_ws_send(self, step: dict[str, Any]) -> Any:
        data = (
            bytes.fromhex(step["binary"])
            if "binary" in step
            else step.get("text", "x" * step.get("text_size", 0))
        )
        with suppress(WebSocketClosed):
            await self.sockets[step["ws"]].send(data)

    async def do_ws_recv(self, step: dict[str, Any]) -> Any:
        if "count" not in step:
            return await self._receive(step)
        answers: list[Any] = []
        while len(answers) < step["count"]:
            answers.append(await self._receive(step))
            if {"eof", "nothing"} & answers[-1].keys():
                break
        return answers

    async def _receive(self, step: dict[str, Any]) -> dict[str, Any]:
        ws = self.sockets[step["ws"]]
        try:
            async with asyncio.timeout(step.get("timeout_ms", RECV_TIMEOUT * 1000) / 1000):
                message = await ws.receive()
        except TimeoutError:
            return {"nothing": True}
        except WebSocketClosed as closed:
            if closed.code == 1006:
                return {"eof": True}
            if step["ws"] in self.told:  # the connection ends when both sides have closed
                return {"eof": True} if step["ws"] in self.closed else {"nothing": True}
            self.told.add(step["ws"])
            return {"close": {"code": None if closed.code == 1005 else closed.code, "reason": closed.reason}}
        if isinstance(message, bytes):
            return {"binary": message.hex() if len(message) <= 256 else f"{len(message)} bytes"}
        value = None
        with suppress(ValueError):
            value = json.loads(message)
        return {"json": value} if isinstance(value, dict | list) else {"text": message}

    async def do_ws_close(self, step: dict[str, Any]) -> None:
        async def close() -> None:
            with suppress(TimeoutError):
                await self.sockets[step["ws"]].close(step.get("code"), step.get("reason", ""))

        self.closed.add(step["ws"])
        self.closing.append(asyncio.ensure_future(close()))
        await asyncio.sleep(0)

    async def do_ws_drop(self, step: dict[str, Any]) -> None:
        self.sockets[step["ws"]].drop()

    do_ws_end = do_ws_drop


def answers_of(scenario: dict[str, Any], app: Path) -> dict[int, Any]:
    """Play *scenario* on the application *app*; return the answers by step, without those that only a connection has."""
    left_out = {i for i, step in enumerate(scenario["steps"]) if step.get("js") or is_of_the_wire(step)}
    steps = [{"do": "sleep", "ms": 0} if i in left_out else s for i, s in enumerate(scenario["steps"])]
    answers = run_simulation(
        lambda sim: InMemoryPlayer(sim).play(scenario | {"steps": steps}),
        seed=None,
        config=app / "wrangler.json",
        debug=False,
    )
    return {index: folded(answer) for index, answer in enumerate(answers) if index not in left_out}


async def said(response: Response) -> dict[str, Any]:
    """Return status and body, as the recordings have them."""
    text = await response.text()
    try:
        return {"status": response.status, "json": json.loads(text)}
    except ValueError:
        return {"status": response.status, "text": text}


def is_of_the_wire(step: dict[str, Any]) -> bool:
    """Tell whether a step is about frames themselves, which are not there: pings, and their answers."""
    return "ping" in step or "pong" in str(
        step.get("answer", {}).keys() if isinstance(step.get("answer"), dict) else ""
    )
