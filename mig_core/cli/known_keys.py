"""Keys of those who are said to have signed something, as far as this investigator's own GnuPG has them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mig_core.errors import InvalidDocument, SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mig_core.pgp.keyring import GnupgKeyring


def known_keyring(gnupg_home: Path | None, fingerprints: Iterable[str], folder: Path) -> GnupgKeyring:
    """A keyring with those keys; who is not in GnuPG is not in it.

    Args:
        folder: an empty one.
    """
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.keyring import GnupgKeyring
    from mig_core.pgp.signer import export_public

    keyring = GnupgKeyring(folder / "keyring")
    for signer in fingerprints:
        with contextlib.suppress(SignatureInvalid, InvalidDocument):
            keyring.add(export_public(gnupg_home, Fingerprint(signer)))
    return keyring
