"""Absolute http(s) URLs in the one spelling that a receiver sees. (pure)

The rules are those of the URL standard for special schemes, as far as they can matter here: scheme and
host in lower case, default port, credentials and fragment gone, an empty path is `/`, dot segments
resolved, everything outside the allowed characters percent-encoded as UTF-8. The host is a name, not
an address: nobody looks it up for a call to an object (STB-04).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final
from urllib.parse import unquote, urljoin

from perdure._web.text import utf8

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Almost every URL is already as it should be; what this leaves out merely takes the longer way.
_CANONICAL = re.compile(
    r"https?://(?:[a-z](?:[a-z0-9.-]*[a-z0-9])?|(?:[0-9]{1,3}\.){3}[0-9]{1,3})"
    r"(?::(?!80/|443/)(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?"
    r"(?:/(?!\.|%2[eE])[A-Za-z0-9\-._~!$&'()*+,;=:@%|\[\]]*)+"
    r"(?:\?[A-Za-z0-9\-._~!$&()*+,;=:@%/?|\[\]\\^`{}]*)?"
)
_PLAIN_TARGET = re.compile(
    r"/[A-Za-z0-9\-._~!$&()*+,;=:@/|\[\]]*(?:\?[A-Za-z0-9\-._~!$&()*+,;=:@%/?|\[\]]*)?"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_IGNORED = re.compile(r"[\t\n\r]")
_EDGES: Final = "".join(map(chr, range(0x21)))
_BAD_HOST = re.compile(r"[\x00-\x20\x7f#/:<>?@\[\\\]^|%]")
_PATH_ENCODE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"#<>?^`{}]+")
_FRAGMENT_ENCODE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"<>`]+")
_CREDENTIAL_ENCODE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"#<>?^`{}/:;=@\[\\\]|]+")
_QUERY_ENCODE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"#<>']+")
_DOT = {".", "%2e"}
_DOUBLE_DOT = {"..", ".%2e", "%2e.", "%2e%2e"}


def normalise(url: str) -> str:
    """Return *url* as the receiver of a request sees it; TypeError unless it is an absolute http(s) URL."""
    if _CANONICAL.fullmatch(url):
        return url
    text = _IGNORED.sub("", url.strip(_EDGES))
    match = _SCHEME.match(text)
    if match is None:
        raise TypeError(f"Invalid URL: {url}")
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise TypeError(f"Fetch API cannot load: {url} (the scheme must be http or https)")
    rest, _, query = text[match.end() :].partition("#")[0].partition("?")
    has_query = "?" in text.partition("#")[0]
    authority, slash, path = rest.replace("\\", "/").lstrip("/").partition("/")
    host = read_host(authority.rpartition("@")[2], DEFAULT_PORTS[scheme], url)
    shown = f"{scheme}://{host}{encode_path(slash + path)}"
    return f"{shown}?{encode_query(query)}" if has_query else shown


def from_request(scheme: str, host: str, target: str) -> str:
    """
    Return the URL of a request for *target*, a path with its query, at *host*.

    Raises:
        TypeError: there is no such host.
    """
    if _PLAIN_TARGET.fullmatch(target) and "/." not in target:
        return _origin(scheme, host) + target
    return normalise(_origin(scheme, host) + target)


@functools.lru_cache(maxsize=256)  # a server has few names; others cost no more than without it
def _origin(scheme: str, host: str) -> str:
    if "@" in host or "/" in host or "\\" in host or "?" in host or "#" in host:
        raise TypeError(f"Invalid Host header: {host!r}")
    return normalise(f"{scheme}://{host}")[:-1]


def join(base: str, reference: str) -> str:
    """Return where *reference*, for instance a `Location` header, leads from the normalised *base*."""
    try:
        target = urljoin(base, reference.strip(_EDGES))
    except ValueError:  # urllib has an opinion on hosts of its own
        raise TypeError(f"Invalid URL: {reference}") from None
    return normalise(target)


def origin(url: str) -> str:
    """Return scheme, host and port of the normalised *url*: what a credential may be sent to."""
    return url[: url.index("/", len("https://"))]


def read_host(authority: str, default_port: int | None, url: str) -> str:
    """
    Return the host and, unless it is the default, the port of *authority*, which has no credentials.

    Raises:
        TypeError: there is no such host; the text names *url*.
    """
    if authority.startswith("["):
        inside, bracket, after = authority[1:].partition("]")
        try:
            host = f"[{ipaddress.IPv6Address(inside).compressed}]"
        except ValueError:
            raise TypeError(f"Invalid URL: {url}") from None
        if not bracket or (after and not after.startswith(":")):
            raise TypeError(f"Invalid URL: {url}")
        port = after[1:]
    else:
        name, _, port = authority.partition(":")
        host = _host(name, url)
    if not port:
        return host
    digits = port.lstrip("0") or "0"  # before anything is counted: Python refuses to read thousands of them
    if not (port.isascii() and port.isdigit()) or len(digits) > 5 or int(digits) > 65535:
        raise TypeError(f"Invalid URL: {url}")
    return host if int(digits) == default_port else f"{host}:{digits}"


def _host(name: str, url: str) -> str:
    try:
        host = unquote(name, errors="strict") if "%" in name else name
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise TypeError(f"Invalid URL: {url}") from None
    if not host or _BAD_HOST.search(host):
        raise TypeError(f"Invalid URL: {url}")
    return host.lower()


def encode_path(path: str) -> str:
    """Return *path* with dot segments resolved, percent-encoded; an empty one is `/`."""
    if not path:
        return "/"
    kept: list[str] = []
    segments = path[1:].split("/")
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        lowered = segment.lower()
        if lowered in _DOUBLE_DOT:
            del kept[-1:]
            if last:
                kept.append("")
        elif lowered in _DOT:
            if last:
                kept.append("")
        else:
            kept.append(_PATH_ENCODE.sub(_percent, segment))
    return "/" + "/".join(kept)


def encode_query(query: str) -> str:
    """Return *query* percent-encoded, without the `?`."""
    return _QUERY_ENCODE.sub(_percent, query)


def encode_other(text: str) -> str:
    """Return a fragment, or the path of a URL that has no `//`, percent-encoded."""
    return _FRAGMENT_ENCODE.sub(_percent, text)


def encode_credential(text: str) -> str:
    """Return a user name or password percent-encoded."""
    return _CREDENTIAL_ENCODE.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in utf8(match[0]))
