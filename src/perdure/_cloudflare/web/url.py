"""URL and URLSearchParams as JavaScript shows them. (pure)

The rules of the URL standard, as far as programs meet them: the rarer corners of hosts (numbers in other bases) and
of `file:` URLs are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import JsArray, JsIterator, js_text, relaxed_call
from perdure._cloudflare.web.shape import WebObject, is_absent
from perdure._web.text import utf8
from perdure._web.url import encode_credential, encode_other, encode_path, encode_query, read_host

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "file": None}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_IGNORED = re.compile(r"[\t\n\r]")
_EDGES: Final = "".join(map(chr, range(0x21)))


class URLSearchParams(WebObject):
    """
    The parameters of a query, in order; a name may occur several times.

    Args:
        init: a query with or without `?`, a mapping, or (name, value) pairs.
    """

    def __init__(self, init: Any = None) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._changed: Callable[[], None] | None = None
        if is_absent(init):
            return
        if isinstance(init, str):
            self._pairs = _parsed(init.removeprefix("?"))
        elif isinstance(init, Iterable) or hasattr(init, "items"):
            for pair in init.items() if isinstance(init, Mapping) else init:
                name, value = pair
                self._pairs.append((js_text(name), js_text(value)))
        else:
            self._pairs = _parsed(js_text(init))

    @property
    def size(self) -> int:
        return len(self._pairs)

    def get(self, name: Any, default: Any = None) -> Any:
        return next((value for key, value in self._pairs if key == js_text(name)), default)

    def getAll(self, name: Any) -> JsArray:
        return JsArray(value for key, value in self._pairs if key == js_text(name))

    def has(self, name: Any, value: Any = None) -> bool:
        return any(
            key == js_text(name) and (value is None or held == js_text(value)) for key, held in self._pairs
        )

    def append(self, name: Any, value: Any) -> None:
        self._change([*self._pairs, (js_text(name), js_text(value))])

    def delete(self, name: Any, value: Any = None) -> None:
        self._change(
            [
                each
                for each in self._pairs
                if each[0] != js_text(name) or (value is not None and each[1] != js_text(value))
            ]
        )

    def set(self, name: Any, value: Any) -> None:
        key, pairs, done = js_text(name), [], False
        for pair in self._pairs:
            if pair[0] != key:
                pairs.append(pair)
            elif not done:
                pairs.append((key, js_text(value)))
                done = True
        self._change(pairs if done else [*pairs, (key, js_text(value))])

    def sort(self) -> None:
        self._change(sorted(self._pairs, key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass")))

    def entries(self) -> JsIterator:
        return JsIterator(JsArray(pair) for pair in list(self._pairs))

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(list(self._pairs))

    def keys(self) -> JsIterator:
        return JsIterator([name for name, _ in self._pairs])

    def values(self) -> JsIterator:
        return JsIterator([value for _, value in self._pairs])

    def forEach(self, function: Callable[..., Any], _this: Any = None) -> None:
        for name, value in list(self._pairs):
            relaxed_call(function, value, name, self)

    def toString(self) -> str:
        return "&".join(f"{_plus(name)}={_plus(value)}" for name, value in self._pairs)

    def _change(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        if self._changed is not None:
            self._changed()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries())

    def __getitem__(self, name: str) -> str:
        for key, value in self._pairs:
            if key == name:
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return self.has(name)

    def __len__(self) -> int:
        return len(self._pairs)

    def __str__(self) -> str:
        return self.toString()


class URL(WebObject):
    """
    An absolute URL in its parts.

    Args:
        url: absolute, or relative to *base*.
        base: an absolute URL.
    """

    def __init__(self, url: Any, base: Any = None) -> None:
        self._params: URLSearchParams | None = None
        self._opaque = False
        self._read(js_text(url), None if base is None else URL(base))

    @classmethod
    def canParse(cls, url: Any, base: Any = None) -> bool:
        return cls.parse(url, base) is not None

    @classmethod
    def parse(cls, url: Any, base: Any = None) -> URL | None:
        """Return the URL, None when it is none."""
        try:
            return cls(url, base)
        except TypeError:
            return None

    def _read(self, url: str, base: URL | None) -> None:
        text = _IGNORED.sub("", url.strip(_EDGES))
        match = _SCHEME.match(text)
        if match is None:
            if base is None or (base._opaque and not text.startswith("#")):
                raise _invalid(url)
            self._read_relative(text, base, url)
            return
        self._scheme = match[1].lower()
        rest, mark, fragment = text[match.end() :].partition("#")
        self._fragment = encode_other(fragment) if mark else ""
        rest, mark, query = rest.partition("?")
        self._query = encode_query(query) if mark else ""
        self._username = self._password = self._host = ""
        is_special = self._scheme in _DEFAULT_PORTS
        if is_special:
            rest = rest.replace("\\", "/")
        self._opaque = not is_special and not rest.startswith("/")
        if self._scheme == "file":
            self._host, _, rest = (
                rest[2:].partition("/") if rest.startswith("//") else ("", "", rest.lstrip("/"))
            )
            self._path = encode_path("/" + rest)
        elif self._opaque:
            self._path = encode_other(rest)
        elif is_special or rest.startswith("//"):
            authority, slash, path = (
                rest.lstrip("/").partition("/") if is_special else rest[2:].partition("/")
            )
            self._read_authority(authority, url)
            self._path = encode_path(slash + path) if is_special or slash else ""
        else:
            self._path = encode_path(rest)

    def _read_authority(self, authority: str, url: str) -> None:
        credentials, at, host = authority.rpartition("@")
        if at:
            user, _, password = credentials.partition(":")
            self._username, self._password = encode_credential(user), encode_credential(password)
        if host or self._scheme in _DEFAULT_PORTS:
            try:
                self._host = read_host(host, _DEFAULT_PORTS.get(self._scheme), url)
            except TypeError:
                raise _invalid(url) from None

    def _read_relative(self, text: str, base: URL, url: str) -> None:
        rest, mark, fragment = text.partition("#")
        path, question, query = rest.partition("?")
        if base._scheme in _DEFAULT_PORTS:
            path = path.replace("\\", "/")
        if path.startswith("//"):
            self._read(f"{base._scheme}:{text}", None)
            return
        self._scheme, self._host, self._opaque = base._scheme, base._host, base._opaque
        self._username, self._password = base._username, base._password
        self._path = base._path
        if path.startswith("/"):
            self._path = encode_path(path)
        elif path:
            self._path = encode_path(base._path.rpartition("/")[0] + "/" + path)
        self._query = base._query if not path and not question else encode_query(query)
        self._fragment = encode_other(fragment) if mark else ""

    @property
    def href(self) -> str:
        query = f"?{self._query}" if self._query else ""
        fragment = f"#{self._fragment}" if self._fragment else ""
        return f"{self._scheme}:{self._authority}{self._path}{query}{fragment}"

    @href.setter
    def href(self, value: Any) -> None:
        self._read(js_text(value), None)
        self._renew_params()

    @property
    def _authority(self) -> str:
        if self._opaque or (not self._host and self._scheme not in _DEFAULT_PORTS):
            return ""
        password = f":{self._password}" if self._password else ""
        credentials = f"{self._username}{password}@" if self._username or password else ""
        return f"//{credentials}{self._host}"

    @property
    def origin(self) -> str:
        return "null" if _DEFAULT_PORTS.get(self._scheme) is None else f"{self._scheme}://{self._host}"

    @property
    def protocol(self) -> str:
        return f"{self._scheme}:"

    @protocol.setter
    def protocol(self, value: Any) -> None:
        scheme = js_text(value).rstrip(":").lower()
        if (scheme in _DEFAULT_PORTS) == (self._scheme in _DEFAULT_PORTS) and _SCHEME.fullmatch(scheme + ":"):
            self._scheme = scheme
            self._host = read_host(self._host, _DEFAULT_PORTS.get(scheme), self.href) if self._host else ""

    @property
    def username(self) -> str:
        return self._username

    @username.setter
    def username(self, value: Any) -> None:
        self._username = encode_credential(js_text(value))

    @property
    def password(self) -> str:
        return self._password

    @password.setter
    def password(self, value: Any) -> None:
        self._password = encode_credential(js_text(value))

    @property
    def host(self) -> str:
        return self._host

    @host.setter
    def host(self, value: Any) -> None:
        self._set_host(js_text(value))

    @property
    def hostname(self) -> str:
        return self._split_host()[0]

    @hostname.setter
    def hostname(self, value: Any) -> None:
        name, port = js_text(value), self.port
        self._set_host(f"{name}:{port}" if port else name)

    @property
    def port(self) -> str:
        return self._split_host()[1]

    @port.setter
    def port(self, value: Any) -> None:
        self._set_host(f"{self.hostname}:{js_text(value)}")

    def _split_host(self) -> tuple[str, str]:
        name, colon, port = self._host.rpartition(":")
        return (name, port) if colon and port.isdigit() else (self._host, "")

    def _set_host(self, host: str) -> None:
        # What is no host changes nothing: a setter of a URL never raises.
        if not self._opaque:
            try:
                self._host = read_host(host, _DEFAULT_PORTS.get(self._scheme), host)
            except TypeError:
                return

    @property
    def pathname(self) -> str:
        return self._path

    @pathname.setter
    def pathname(self, value: Any) -> None:
        if not self._opaque:
            self._path = encode_path("/" + js_text(value).removeprefix("/"))

    @property
    def search(self) -> str:
        return f"?{self._query}" if self._query else ""

    @search.setter
    def search(self, value: Any) -> None:
        self._query = encode_query(js_text(value).removeprefix("?"))
        self._renew_params()

    @property
    def hash(self) -> str:
        return f"#{self._fragment}" if self._fragment else ""

    @hash.setter
    def hash(self, value: Any) -> None:
        self._fragment = encode_other(js_text(value).removeprefix("#"))

    @property
    def searchParams(self) -> URLSearchParams:
        """The query's parameters: changing them changes the URL."""
        if self._params is None:
            self._params = params = URLSearchParams(self._query)

            def changed() -> None:
                self._query = params.toString()

            params._changed = changed
        return self._params

    def _renew_params(self) -> None:
        if self._params is not None:
            self._params._pairs = _parsed(self._query)

    def toString(self) -> str:
        return self.href

    def toJSON(self) -> str:
        return self.href

    def __str__(self) -> str:
        return self.href

    def __repr__(self) -> str:
        return f"URL({self.href!r})"


def _invalid(url: str) -> Exception:
    return js_error("TypeError", f"Invalid URL string: {url!r}")


def _parsed(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _plus(text: str) -> str:
    return quote_plus(utf8(text), safe="*").replace("~", "%7E")
