"""Request: what a `fetch` handler receives. (cooperative)"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from perdure._base.current import current
from perdure._base.limits import FORM_ENTRIES_MAX
from perdure._web.body import Body, BodyInit
from perdure._web.headers import Headers, HeadersInit
from perdure._web.message import Message, take_body
from perdure._web.relay import relay
from perdure._web.url import normalise

STANDARD_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FROM_ORIGINAL: Final[Any] = type("FromOriginal", (), {"__repr__": lambda _: "..."})()


class Address(NamedTuple):
    """Where a request came from."""

    host: str
    """An IP address, as text."""
    port: int | None
    """None when a proxy told the address alone."""


class Request(Message):
    """
    An HTTP request.

    Args:
        input: an absolute http(s) URL, or a request to derive this one from. A derived request takes over
            the body of the original.
        like: with a URL as *input*, a request that gives method, headers, body and redirect mode, as in
            `Request(new_url, request)`.
        method: standard methods are upper-cased.
        headers: replace all headers of the original.
        body: None, str, bytes, `FormData`, or an (async) iterable of bytes. A str brings
                `text/plain;charset=UTF-8`, a form its own type.
        redirect: "follow", or "manual" to see the 3xx answer (STB-05).
    """

    __slots__ = ("_client", "_method", "_redirect", "_url")
    _client: Address | None
    _method: str
    _redirect: str
    _url: str

    def __init__(
        self,
        input: Request | str,
        like: Request | None = None,
        *,
        method: str = _FROM_ORIGINAL,
        headers: HeadersInit = _FROM_ORIGINAL,
        body: BodyInit = _FROM_ORIGINAL,
        redirect: str = _FROM_ORIGINAL,
    ) -> None:
        original = input if isinstance(input, Request) else like
        self._client = None if original is None else original._client
        if isinstance(input, Request):
            self._url = input._url
        elif isinstance(input, str):
            self._url = normalise(input)
        else:
            raise TypeError(f"A Request is made from a URL or a Request; got {type(input).__name__}")

        if method is _FROM_ORIGINAL:
            self._method = "GET" if original is None else original._method
        else:
            self._method = _checked_method(method)
        if redirect is _FROM_ORIGINAL:
            self._redirect = "follow" if original is None else original._redirect
        else:
            self._redirect = _checked_redirect(redirect)
        if headers is _FROM_ORIGINAL:
            headers = None if original is None else original._headers
        inherited = body is _FROM_ORIGINAL
        has_body = (original is not None and original._body is not None) if inherited else body is not None
        if has_body and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")
        super().__init__(None if inherited else body, headers)
        if inherited and original is not None:
            if original.body_used:
                raise TypeError("Cannot reconstruct a Request with a used body.")
            self._body = take_body(original)

    @property
    def method(self) -> str:
        """The method, for instance "GET"."""
        return self._method

    def __perdure_cross__(self, crossing: Any) -> Request:
        sent = copy_request(self)
        relay(sent, current.get(), asyncio.get_running_loop())
        return sent

    @property
    def url(self) -> str:
        """The absolute URL, normalised, without fragment and credentials."""
        return self._url

    @property
    def client(self) -> Address | None:
        """
        Who sent it: `client.host` and `client.port`; None when that is not known, or it was made here.

        It is the server's word, not the sender's: behind a proxy, what a trusted one has said. It goes along
        when the request is passed on to an object, as headers do.
        """
        return self._client

    @property
    def redirect(self) -> str:
        """What a redirect answer leads to: "follow", or "manual" of a request that came in, whose sender is told."""
        return self._redirect

    @property
    def path(self) -> str:
        """The URL's path with percent escapes decoded. To split it safely, split `url` first."""
        return unquote(urlsplit(self._url).path)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; of a repeated one the last value."""
        return dict(self.query_params)

    @property
    def query_params(self) -> list[tuple[str, str]]:
        """The query's parameters, decoded, in order and with repeats."""
        return parse_qsl(urlsplit(self._url).query, keep_blank_values=True, max_num_fields=FORM_ENTRIES_MAX)

    async def json(self) -> Any:
        """Read the whole body as JSON; ValueError when it is not."""
        return await self._read_json()

    def clone(self) -> Request:
        """Return a copy with a body of its own; TypeError when this one's body is used."""
        return make_request(
            self._url,
            self._method,
            self._headers.copy(),
            None if self._body is None else self._body.tee(),
            redirect=self._redirect,
            client=self._client,
        )

    def __repr__(self) -> str:
        return f"<Request {self._method} {self._url}>"


def make_request(
    url: str,
    method: str,
    headers: Headers,
    body: Body | None,
    *,
    redirect: str = "follow",
    client: Address | None = None,
) -> Request:
    """Return a request from parts that are known to be right; nothing is checked, copied or added."""
    request = Request.__new__(Request)
    request._url = url
    request._method = method
    request._headers = headers
    request._body = body
    request._redirect = redirect
    request._client = client
    return request


def copy_request(request: Request) -> Request:
    """Return a request to pass on: headers copied, the body taken over from *request*."""
    if request.body_used:
        raise TypeError("Cannot reconstruct a Request with a used body.")
    return make_request(
        request._url,
        request._method,
        request._headers.copy(),
        take_body(request),
        redirect=request._redirect,
        client=request._client,
    )


def _checked_method(method: str) -> str:
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise TypeError(f"Invalid HTTP method string: {method!r}")
    upper = method.upper()
    return upper if upper in STANDARD_METHODS else method


def _checked_redirect(redirect: str) -> str:
    if redirect not in ("follow", "manual"):
        raise TypeError(
            f'Invalid redirect value {redirect!r}, must be one of "follow" or "manual" ("error" makes no '
            'sense on a server; use "manual" and check the response status code).'
        )
    return redirect
