"""OpenPGP through GnuPG, all of it that the rest of MIG uses: ``keyring`` verifies, ``signer`` signs."""

from __future__ import annotations

from mig_core.pgp.home import stop_agent
from mig_core.pgp.keyring import GnupgKeyring
from mig_core.pgp.signer import GnupgSigner, export_public, generate_key, secret_keys

__all__ = ["GnupgKeyring", "GnupgSigner", "export_public", "generate_key", "secret_keys", "stop_agent"]
