"""Two pages of a real browser in one room, whose object is not there most of the time."""

from __future__ import annotations

import pytest
from http_serving import run
from support.inside import attempt, inside
from websocket_serving import Front, Room, playing

from perdure import Response
from perdure._http.limits import HttpLimits, WebSocketLimits
from perdure.testing import evict_durable_object

async_api = pytest.importorskip("playwright.async_api", reason="pip install playwright")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

PAGE = """<!doctype html><meta charset="utf-8"><title>room</title><script>
const heard = [], ws = new WebSocket(location.href.replace('http', 'ws') + 'room', ['chat']);
const opened = new Promise((done) => ws.onopen = done);
const closed = new Promise((done) => ws.onclose = ({ code, reason, wasClean }) => done([code, reason, wasClean]));
let came = () => {};
ws.onmessage = ({ data }) => { heard.push(data); came(); };
const hears = async (count) => { while (heard.length < count) await new Promise((done) => came = done); return heard; };
</script>"""


class Site(Front):
    async def fetch(self, request):
        if request.path == "/":
            return Response(PAGE, headers={"content-type": "text/html"})
        return await super().fetch(request)


class Chat(Room):
    async def fetch(self, request):
        response = await super().fetch(request)
        response.headers.set("sec-websocket-protocol", "chat")
        return response

    async def websocket_message(self, ws, message):
        for member in self.ctx.get_websockets():
            member.send(message)

    async def websocket_close(self, ws, code, reason, was_clean):
        await super().websocket_close(ws, code, reason, was_clean)
        ws.close(code, "see you")


@pytest.mark.browser
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "compressed"])
def test_two_pages_talk_through_an_object_that_sleeps(deflate):
    """They stay connected while it is away; a close is clean, a reset is 1006."""

    async def main():
        limits = HttpLimits(websocket=WebSocketLimits(deflate=deflate))
        async with (
            playing(Chat, worker=Site, limits=limits) as app,
            async_api.async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES)
            pages = [await browser.new_page() for _ in range(2)]
            for page in pages:
                await page.goto(f"http://127.0.0.1:{app.port}/")
                await page.evaluate("opened")
                assert await page.evaluate("ws.protocol") == "chat"
            said = []
            for n, page in enumerate(pages * 2):
                await evict_durable_object(app.stub())
                said.append(f"☃ {n} " + "x" * 1000)
                await page.evaluate("(text) => ws.send(text)", said[-1])
                for each in pages:
                    assert await each.evaluate("(count) => hears(count)", len(said)) == said
            await pages[0].evaluate("ws.close(4001, 'bye')")
            assert await pages[0].evaluate("closed") == [4001, "see you", True]
            await attempt(inside(app.stub(), lambda room: room.ctx.abort("enough")))
            assert await pages[1].evaluate("closed") == [1006, "", False]
            await browser.close()

    run(main())
