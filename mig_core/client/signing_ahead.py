"""Signing with a gpg that is begun with the question: it gets ready while the question is read.

It waits for what it is to sign, and signs once; what else is to be signed is signed by another run. One that was not
used ends with the program. What goes wrong when it is begun is said when something is to be signed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from mig_core.errors import MigError

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.signer import BegunSignature, GnupgSigner

_begun: dict[tuple[str, Path | None], BegunSignature] = {}
"""By fingerprint and home."""


def begin(fingerprint: str, home: Path | None) -> None:
    """Begins a gpg for a key; called by the main thread of a program."""
    with contextlib.suppress(MigError):
        _begun[fingerprint, home] = _signer(fingerprint, home).begin()
        atexit.register(give_up)
        # Else gpg takes the end of this program for the end of what it is to sign, and asks for a passphrase.
        signal.signal(signal.SIGTERM, _terminated)


def give_up() -> None:
    """Ends a gpg that was not used; harmless a second time."""
    while _begun:
        _begun.popitem()[1].give_up()


def _terminated(number: int, _: object) -> None:
    give_up()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class SignerAhead:
    """A :class:`~mig_core.pgp.base.Signer` that leaves its first signature to the gpg that was begun, if one was."""

    def __init__(self, fingerprint: Fingerprint, home: Path | None) -> None:
        self._fingerprint = fingerprint
        self._home = home

    @property
    def fingerprint(self) -> Fingerprint:
        """The primary fingerprint."""
        return self._fingerprint

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        """See :meth:`mig_core.pgp.base.Signer.sign`."""
        begun = _begun.pop((self._fingerprint, self._home), None)
        if begun is not None and begun.usable:
            return begun.sign(envelope, check=check)
        return self._here().sign(envelope, check=check)

    def check(self, envelope: Envelope) -> None:
        """See :meth:`mig_core.pgp.base.Signer.check`."""
        self._here().check(envelope)

    def public_key(self) -> bytes:
        """See :meth:`mig_core.pgp.base.Signer.public_key`."""
        return self._here().public_key()

    def _here(self) -> GnupgSigner:
        return _signer(self._fingerprint, self._home)


def _signer(fingerprint: str, home: Path | None) -> GnupgSigner:
    from mig_core.pgp.signer import GnupgSigner  # without what verifies

    return GnupgSigner(fingerprint, home)
