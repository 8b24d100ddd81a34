"""Following redirects on the caller's side."""

import asyncio

import pytest

from perdure.web import Request, Response, follow

pytestmark = pytest.mark.rows("STB-05")


def play(request, answers):
    """Follow *request* where each URL has its answer; return the final response and what was sent."""
    sent = []

    async def send(request):
        sent.append((request.method, request.url, dict(request.headers), await request.bytes()))
        answer = answers[request.url]
        return (
            answer()
            if callable(answer)
            else Response(None, status=answer[0], headers={"location": answer[1]})
        )

    return asyncio.run(follow(request, send)), sent


def end():
    return Response("landed")


def test_a_redirect_is_followed_and_told():
    """The response knows where it comes from."""
    response, sent = play(Request("http://do/r"), {"http://do/r": (302, "/landed"), "http://do/landed": end})
    assert (response.status, response.redirected, response.url) == (200, True, "http://do/landed")
    assert [url for _, url, _, _ in sent] == ["http://do/r", "http://do/landed"]


def test_without_a_redirect_the_url_is_the_requests():
    """And nothing was redirected."""
    response, _ = play(Request("http://do/landed"), {"http://do/landed": end})
    assert (response.redirected, response.url) == (False, "http://do/landed")


def test_manual_shows_the_redirect():
    """The caller sees the 3xx."""
    response, sent = play(Request("http://do/r", redirect="manual"), {"http://do/r": (302, "http://do/x")})
    assert (response.status, response.headers["location"], response.redirected) == (302, "http://do/x", False)
    assert len(sent) == 1


def test_a_redirect_status_without_a_location_is_the_answer():
    """There is nowhere to go."""
    response, _ = play(Request("http://do/r"), {"http://do/r": lambda: Response(status=302)})
    assert response.status == 302


@pytest.mark.parametrize(
    ("status", "method", "becomes", "keeps"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (302, "PUT", "PUT", True),
        (307, "POST", "POST", True),
        (308, "POST", "POST", True),
    ],
)
def test_method_and_body_change_as_the_standard_says(status, method, becomes, keeps):
    """301, 302 turn POST into GET, 303 everything; the body and its headers go."""
    request = Request("http://do/r", method=method, body="b", headers={"x": "1"})
    _, sent = play(request, {"http://do/r": (status, "/l"), "http://do/l": end})
    method, _, headers, body = sent[1]
    assert method == becomes
    assert headers["x"] == "1"
    assert (body == b"b", "content-type" in headers) == (keeps, keeps)


def test_head_stays_head():
    """Also over a 303."""
    _, sent = play(Request("http://do/r", method="HEAD"), {"http://do/r": (303, "/l"), "http://do/l": end})
    assert sent[1][0] == "HEAD"


def test_a_stream_cannot_be_sent_again():
    """The text says how to avoid it."""
    request = Request("http://do/r", method="POST", body=iter([b"b"]))
    with pytest.raises(TypeError, match="A request with a one-time-use body"):
        play(request, {"http://do/r": (307, "/l"), "http://do/l": end})


def test_credentials_stay_with_their_origin():
    """Another host learns neither cookies nor authorization."""
    headers = {"authorization": "a", "cookie": "b", "x": "c"}
    _, sent = play(
        Request("http://do/r", headers=headers),
        {"http://do/r": (302, "/s"), "http://do/s": (302, "http://other/l"), "http://other/l": end},
    )
    assert sent[1][2] == headers
    assert sent[2][2] == {"x": "c"}


def test_endless_redirects_end():
    """After 20."""
    with pytest.raises(TypeError, match="Too many redirects: 20 followed, the last from http://do/r"):
        play(Request("http://do/r"), {"http://do/r": (302, "/r")})


def test_a_redirect_to_another_scheme_is_refused():
    """Only http and https are fetched."""
    with pytest.raises(TypeError, match="cannot load"):
        play(Request("http://do/r"), {"http://do/r": (302, "file:///etc/passwd")})


def test_the_body_of_a_redirect_is_closed():
    """Whoever streams it is told."""
    closed = []

    async def stream():
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    async def main():
        source = stream()
        await anext(source)

        async def send(request):
            if request.url.endswith("/l"):
                return Response("l")
            return Response(source, status=302, headers={"location": "/l"})

        assert await (await follow(Request("http://do/r"), send)).text() == "l"

    asyncio.run(main())
    assert closed == [True]


def test_the_original_request_is_used_up():
    """Its body has left."""
    request = Request("http://do/landed", method="POST", body="b")
    play(request, {"http://do/landed": end})
    assert request.body_used
