"""The chat's tests: run `pytest`. Clients are WebSockets in memory."""

from perdure.testing import evict_all_durable_objects


async def join(ws, name):
    """Join under a name; return what the room says to that."""
    await ws.send_json({"kind": "join", "key": name.lower() * 8, "name": name, "seen": 0})
    return await hear(ws, "welcome")


async def hear(ws, kind):
    """Return the next news of a kind."""
    while (news := await ws.receive_json())["kind"] != kind:
        assert news["kind"] != "error", news
    return news


async def say(ws, text):
    await ws.send_json({"kind": "say", "text": text, "ref": f"ref-{text.replace(' ', '-')}"})
    assert (await hear(ws, "said"))["message"]["text"] == text


async def test_everybody_in_the_room_hears_what_is_said(perdure):
    async with (
        perdure.websocket("/rooms/lounge/websocket") as ann,
        perdure.websocket("/rooms/lounge/websocket") as bob,
    ):
        await join(ann, "Anna")
        await join(bob, "Bobo")
        await say(ann, "hello")
        assert (await hear(bob, "said"))["message"]["name"] == "Anna"


async def test_a_room_sleeps_while_its_guests_stay(perdure):
    async with perdure.websocket("/rooms/lounge/websocket") as ann:
        await join(ann, "Anna")
        await evict_all_durable_objects()
        await say(ann, "still here")


async def test_what_was_said_outlives_a_crash(perdure):
    ann = await perdure.websocket("/rooms/lounge/websocket")
    await join(ann, "Anna")
    await say(ann, "hello")
    await perdure.crash()
    async with perdure.websocket("/rooms/lounge/websocket") as again:
        assert [message["text"] for message in (await join(again, "Anna"))["messages"]] == ["hello"]


async def test_rooms_are_listed(perdure):
    async with perdure.websocket("/rooms/lounge/websocket") as ann:
        await join(ann, "Anna")
        await say(ann, "hello")
    assert await (await perdure.fetch("/rooms")).json() == {"rooms": ["lounge"]}
