"""Ids of objects from names or from chance, exactly as workerd derives them. (pure)

With the namespace's key K = SHA-256(unique key), the first 16 bytes are HMAC-SHA-256(K, name) cut short, or
random; the last 16 are HMAC-SHA-256(K, first half) cut short, so that a forged id, or one of another
namespace, is told apart (NS-03…05).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

HALF: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


def namespace_key(unique_key: str) -> bytes:
    """Return K for the namespace that *unique_key* names."""
    return hashlib.sha256(unique_key.encode("utf-8", "surrogatepass")).digest()


def id_from_name(key: bytes, name: str) -> bytes:
    """Return the 32-byte id of *name*: the same for the same namespace, always."""
    return with_check(key, hmac.digest(key, name.encode("utf-8", "surrogatepass"), "sha256")[:HALF])


def with_check(key: bytes, first: bytes) -> bytes:
    """Return *first*, 16 bytes, with its 16 bytes of check behind it."""
    return first + hmac.digest(key, first, "sha256")[:HALF]


def id_from_hex(key: bytes, text: str) -> bytes:
    """Parse 64 hex digits into an id of this namespace; TypeError for any other text (NS-05)."""
    if not _HEX.fullmatch(text):
        raise TypeError("Invalid Durable Object ID: must be 64 hex digits")
    found = bytes.fromhex(text)
    if not hmac.compare_digest(found, with_check(key, found[:HALF])):
        raise TypeError("Durable Object ID is not valid for this namespace.")
    return found
