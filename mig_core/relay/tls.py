"""How a relay's connection is protected: the files an operator names, made into what Python's ``ssl`` wants."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Files in PEM form. Empty: the system's certificate authorities, no client certificate."""

    ca_file: Path | None = None
    """Certificate authorities to believe *instead of* the system's."""
    certificate_file: Path | None = None
    """Client certificate, with its chain."""
    key_file: Path | None = None
    """Its private key, without a passphrase; None: in the same file as the certificate."""

    def context(self) -> ssl.SSLContext:
        """A client's context: TLS 1.2 or newer, certificate and host name of the other side are checked.

        Raises:
            ConfigurationError: a file is missing, unreadable or not what it should be.
        """
        key, path = "ca_file", self.ca_file
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            key, path = "certificate_file", self.certificate_file
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file, password=_no_passphrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigurationError(
                str(path),
                key,
                f"cannot be used: {error}",
                next_step="name a readable PEM file; keys without passphrase",
            ) from error
        return context


def _no_passphrase() -> str:
    """Instead of OpenSSL's own question on the terminal."""
    raise ValueError("the key has a passphrase")
