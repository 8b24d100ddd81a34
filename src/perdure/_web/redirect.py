"""Following redirects on the caller's side, as the fetch standard does. (cooperative)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perdure._base.limits import REDIRECTS_MAX
from perdure._web.body import Body
from perdure._web.message import take_body
from perdure._web.request import Request, copy_request, make_request
from perdure._web.response import REDIRECT_STATUSES, Response, copy_response
from perdure._web.url import join, origin

_BODY_HEADERS = ("content-encoding", "content-language", "content-length", "content-location", "content-type")
_CREDENTIALS = ("authorization", "cookie", "proxy-authorization")


async def follow(request: Request, send: Callable[[Request], Awaitable[Response]]) -> Response:
    """
    Send *request* by *send* and, unless its mode is "manual", every redirect that comes back (STB-05).

    The body is taken over from *request*. One given as a stream cannot be sent a second time: TypeError
    when a redirect asks for that.
    """
    current = copy_request(request)
    for redirects in range(REDIRECTS_MAX + 1):
        url, method, headers, redirect = current.url, current.method, current.headers.copy(), current.redirect
        data, had_body = None if current.body is None else current.body.data, current.body is not None
        response = await send(current)
        location = response.headers.get("location")
        if redirect == "manual" or response.status not in REDIRECT_STATUSES or location is None:
            return copy_response(response, url=url, redirected=redirects > 0)
        unread = take_body(response)
        if unread is not None:
            await unread.aclose()

        target = join(url, location)
        if (response.status in (301, 302) and method == "POST") or (
            response.status == 303 and method not in ("GET", "HEAD")
        ):
            method, data, had_body = "GET", None, False
            for name in _BODY_HEADERS:
                headers.delete(name)
        if had_body and data is None:
            raise TypeError(
                "A request with a one-time-use body (it was initialized from a stream, not a buffer) "
                "encountered a redirect requiring the body to be retransmitted. To avoid this error in the "
                "future, construct this request from a buffer-like body initializer."
            )
        if origin(target) != origin(url):
            for name in _CREDENTIALS:
                headers.delete(name)
        current = make_request(
            target,
            method,
            headers,
            None if data is None else Body(data),
            redirect=redirect,
            client=request._client,
        )
    raise TypeError(f"Too many redirects: {REDIRECTS_MAX} followed, the last from {url}")
