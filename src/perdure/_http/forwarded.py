"""Who really sent a request that came through proxies, as far as these are to be believed. (pure)

A header says what its last writer wanted. So what counts is the end of each list, which the proxy wrote that
talks to us; further to the left only while the one named is itself a trusted proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final

from perdure._base.limits import HTTP_PROXIES
from perdure.web import Address

FORWARDED_HEADERS: Final = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Proxies:
    """
    The proxies whose `X-Forwarded-…` headers are believed: addresses and networks, or `*` for all.

    Raises:
        ValueError: *allowed* has something else in it.
    """

    def __init__(self, allowed: str = HTTP_PROXIES) -> None:
        entries = [entry.strip() for entry in allowed.split(",") if entry.strip()]
        self._all = "*" in entries
        self._networks = [_network(entry) for entry in entries if entry != "*"]

    def trusts(self, host: str | None) -> bool:
        """Tell whether *host* is one of them; None is the peer of a Unix socket, whom its file lets in."""
        if host is None or self._all:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def sender(self, peer: Address | None, chain: str | None) -> Address | None:
        """Return who sent a request that *peer*, a trusted one, brings with this `X-Forwarded-For`."""
        sender = peer
        for entry in reversed((chain or "").split(",")):
            if not entry.strip():
                continue
            sender = _address(entry.strip())
            if sender is None or not self.trusts(sender.host):
                break  # unknown, or the first that is no proxy of ours: what stands further left is hearsay
        return sender


def forwarded_scheme(noted: Mapping[str, str]) -> str | None:
    """Return the scheme that a trusted proxy named, or None."""
    return _SCHEMES.get(noted.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower())


def forwarded_host(noted: Mapping[str, str]) -> str | None:
    """Return the host that a trusted proxy named, or None."""
    return noted.get("x-forwarded-host", "").rpartition(",")[2].strip() or None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError(
            f"{entry!r} is no IP address or network; write them like 10.0.0.5,10.1.0.0/16,fd00::/8, or * for all"
        ) from None


def _address(entry: str) -> Address | None:
    """Return what `1.2.3.4`, `1.2.3.4:567`, `::1` or `[::1]:567` names; None when it is no address."""
    host, port = entry, ""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536
    return Address(host, int(port) if is_port else None)
