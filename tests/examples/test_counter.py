"""The counter of the README, on a real server."""

from __future__ import annotations

import httpx


def test_each_request_counts_one(serve):
    """The worker answers with a number one higher than the time before."""
    url = serve("counter/app.py").url
    assert [httpx.get(url).json() for _ in range(3)] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_the_count_goes_on_after_kill_9(serve):
    """What was answered is on disk: a killed and restarted server goes on counting from there."""
    server = serve("counter/app.py")
    assert httpx.get(server.url).json() == {"n": 1}
    server.kill()
    server.start()
    assert httpx.get(server.url).json() == {"n": 2}
