"""Until when a server's certificate is good: OpenSSL reads it, no library more."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h)."""
_ROUNDS = 10


def certificate_ends(certificate: Path, key: Path | None) -> datetime:
    """When the first certificate of a file ends; a moment ago, when it has ended.

    A handshake with ourselves, in memory: Python gives the fields of a certificate only to who has verified it.

    Raises:
        ConfigurationError: the files cannot be used, or do not belong together.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.load_verify_locations(certificate)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            str(certificate),
            "tls",
            f"certificate or key cannot be used: {error}",
            next_step="both in PEM form, readable",
        ) from error
    client.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    try:
        for _ in range(_ROUNDS):
            for side in (ours, theirs):
                try:
                    side.do_handshake()
                    done.add(side)
                except ssl.SSLWantReadError:
                    pass
            if len(done) == 2:
                break
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return datetime.now(UTC)
        raise ConfigurationError(str(certificate), "tls", f"is no good certificate: {error.verify_message}") from error
    found = ours.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
