"""`request.cf`: what Cloudflare's network tells of a connection, as far as anybody knows it here. (pure)"""

from __future__ import annotations

from typing import Any, Final

from perdure._cloudflare.values import JsDict

UNKNOWN: Final = frozenset(
    """
    asOrganization asn botManagement city clientAcceptEncoding clientTcpRtt colo continent country edgeRequestKeepAliveStatus
    hostMetadata isEUCountry latitude longitude metroCode postalCode region regionCode requestPriority timezone tlsCipher
    tlsClientAuth tlsClientExtensionsSha1 tlsClientHelloLength tlsClientRandom tlsExportedAuthenticator tlsVersion verifiedBotCategory
    """.split()
)
"""What only Cloudflare's network knows; None here."""


class CfProperties(JsDict):
    """What is known, as items and attributes; what only Cloudflare's network knows is None."""

    def __getattr__(self, name: str) -> Any:
        return None if name in UNKNOWN and name not in self else super().__getattr__(name)


def cf_properties() -> CfProperties:
    """Return what is told of a request that came in."""
    return CfProperties(httpProtocol="HTTP/1.1")
