"""TLS towards receivers: always verified, never with a choice not to; and what a refused certificate lacks."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mig_core.domain.certificates import advice
from mig_core.plugin.printing import excerpt

if TYPE_CHECKING:
    from mig_dispatch.targets import Tls


def make_context(tls: Tls) -> ssl.SSLContext:
    """A client's context: verifies certificate and name, TLS 1.2 or newer.

    Raises:
        OSError: a file cannot be read, or is not what it should be; the text names it.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
    except OSError as error:
        raise OSError(f"ca_file {tls.ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_passphrase)
        except OSError as error:
            raise OSError(f"cert_file {tls.cert_file} or key_file {tls.key_file}: {error}") from error
    return context


def in_words(error: BaseException) -> str:
    """What went wrong with a connection, fit for a log line; for a certificate with what to do about it."""
    step = advice(error)
    said = excerpt(f"{type(error).__name__}: {error}")
    return f"{said}; {step}" if step else said


def _no_passphrase() -> str:
    """Instead of asking on the terminal."""
    return ""
