"""Redirects are followed for who asked of their own accord, and told to a client: STB-05."""

from __future__ import annotations

import pytest

from perdure import DurableObject, Request, Response, Runtime, WorkerEntrypoint

pytestmark = pytest.mark.rows("STB-05")


class Doors(DurableObject):
    async def fetch(self, request):
        if request.path == "/old":
            return Response(None, status=302, headers={"location": "/new"})
        return Response(f"{request.method} {request.path}, {request.redirect}")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/away":
            return Response(None, status=302, headers={"location": "/landed"})
        if request.path == "/landed":
            return Response("landed")
        if request.path == "/service":
            answer = await self.ctx.exports.Default.fetch("http://x/away")
            return Response(f"{answer.status} {answer.redirected} {await answer.text()}")
        doors = self.env.DOORS.get_by_name("a")
        if request.path.startswith("/asks"):
            return await doors.fetch("http://x" + request.path.removeprefix("/asks"))
        return await doors.fetch(request)


async def answered(request):
    """Return the status, the location and the text of what a client gets for *request*."""
    async with Runtime([Doors], worker=Default) as rt:
        answer = await rt.handle(request)
        return answer.status, answer.headers.get("location"), await answer.text()


async def test_a_request_that_is_passed_on_brings_its_client_the_redirect():
    """The browser goes to the new place itself, and shows where it is."""
    assert await answered(Request("http://x/old", method="POST", body="form")) == (302, "/new", "")


async def test_a_request_of_the_workers_own_is_followed():
    """By the object that was asked; what it gets, it would pass on without following."""
    assert await answered(Request("http://x/asks/old")) == (200, None, "GET /new, manual")


async def test_a_worker_that_is_asked_is_followed_too():
    """A service is asked as an object is."""
    assert await answered(Request("http://x/service")) == (200, None, "200 True landed")
