"""Signatures of investigators, checked: OpenPGP in worker threads, keys from the store on first use.

The store's word on an investigator (active, permissions) is asked for every signature, so that a disabled one is out at
once; only the import of the key into the keyring is remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.domain.ids import check_fingerprint
from mig_core.errors import InvalidDocument, NotFound, Refused, SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.domain.envelope import Envelope, Signature
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import KeyInfo, Keyring
    from mig_core.store.base import Investigators
    from mig_core.store.rows import Investigator, Permission

MAX_KEY_BYTES = 200 << 10
"""Largest armored public key."""
_PAUSE_SECONDS, _REST_SECONDS = 0.2, 30.0
"""From a verification until the keyring gets ready for the next, and from then until it rests."""


class InvestigatorKeys:
    """Who signed what.

    Args:
        investigators: the store's.
        open_keyring: makes a keyring in an empty private directory.
        folder: where those directories are made; belongs to this process alone.
    """

    def __init__(self, investigators: Investigators, open_keyring: Callable[[Path], Keyring], folder: Path) -> None:
        self._investigators = investigators
        self._open_keyring = open_keyring
        self._folder = folder
        self._keyring: Keyring | None = None
        self._home: Path | None = None
        self._imported: set[bytes] = set()
        self._importing = asyncio.Lock()
        self._next: asyncio.TimerHandle | None = None
        """When the keyring gets ready, or rests."""

    async def signer(self, envelope: Envelope, signature: Signature, permission: Permission | None) -> Investigator:
        """The active investigator whose good signature this is.

        Args:
            permission: what the investigator must be allowed to; None: to log in.

        Raises:
            SignatureInvalid: unknown key, or the signature does not fit.
            Refused: the investigator is disabled or lacks the permission.
        """
        try:
            fingerprint = check_fingerprint(signature.keyid, subject="signature", path="keyid")
        except InvalidDocument:
            raise SignatureInvalid(
                signature.keyid[:80], "keyid must be the fingerprint of the signer's primary key"
            ) from None
        try:
            investigator = await self._investigators.get(fingerprint)
        except NotFound:
            raise SignatureInvalid(
                fingerprint, "no investigator here has this key", next_step="have it added: mig investigator add"
            ) from None
        if not investigator.active:
            raise Refused("investigator", f"{investigator.name} ({fingerprint}) is disabled")
        if permission is not None and permission not in investigator.permissions:
            raise Refused("permission", f"{investigator.name} ({fingerprint}) lacks the permission {permission.value}")
        keyring = await self._with_key(investigator)
        made_by = await asyncio.to_thread(keyring.verify, envelope.signed_bytes(), signature)
        self._after(_PAUSE_SECONDS, self._get_ready)
        if made_by != fingerprint:
            raise SignatureInvalid(fingerprint, f"was made by another key, {made_by}")
        return investigator

    async def signers(self, envelope: Envelope, permission: Permission) -> tuple[Investigator, ...]:
        """The signers of all signatures, in the envelope's order.

        Raises:
            SignatureInvalid: any signature is not good, or somebody signed twice.
            Refused: as :meth:`signer`.
        """
        found: dict[Fingerprint, Investigator] = {}
        for signature in envelope.signatures:
            investigator = await self.signer(envelope, signature, permission)
            if investigator.fingerprint in found:
                raise SignatureInvalid(investigator.fingerprint, "signed twice")
            found[investigator.fingerprint] = investigator
        return tuple(found.values())

    async def read_key(self, armored: bytes, now: datetime) -> KeyInfo:
        """What a public key says of itself, before it is trusted.

        Raises:
            InvalidDocument: not exactly one public key, or it has expired or been revoked.
        """
        keys = await asyncio.to_thread(self._scan, armored)
        if len(keys) != 1:
            raise InvalidDocument("request", f"must hold exactly one public key, holds {len(keys)}", path="publickey")
        if keys[0].revoked or (keys[0].expires is not None and keys[0].expires <= now):
            word = "been revoked" if keys[0].revoked else "expired"
            raise InvalidDocument("request", f"key {keys[0].fingerprint} has {word}", path="publickey")
        return keys[0]

    def close(self) -> None:
        """Removes the keyring's directory."""
        if self._next is not None:
            self._next.cancel()
        home, keyring = self._home, self._keyring
        self._home = self._keyring = None
        if keyring is not None:
            keyring.rest()
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)

    async def _with_key(self, investigator: Investigator) -> Keyring:
        digest = hashlib.sha256(investigator.public_key).digest()
        async with self._importing:
            if self._keyring is None:
                self._home = Path(tempfile.mkdtemp(prefix="keyring-", dir=self._folder))
                self._keyring = await asyncio.to_thread(self._open_keyring, self._home)
            if digest not in self._imported:
                try:
                    await asyncio.to_thread(self._keyring.add, investigator.public_key)
                except InvalidDocument as error:
                    raise SignatureInvalid(investigator.fingerprint, f"the stored key is unusable: {error}") from error
                self._imported.add(digest)
            return self._keyring

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(seconds, what)

    def _get_ready(self) -> None:
        keyring = self._keyring
        if keyring is not None:
            begun = asyncio.get_running_loop().run_in_executor(None, self._begin, keyring)
            begun.add_done_callback(lambda _: self._after(_REST_SECONDS, keyring.rest))

    def _begin(self, keyring: Keyring) -> None:
        """In a thread, which may be late: what is closed meanwhile must not begin anything."""
        if self._keyring is keyring:
            keyring.get_ready()
        if self._keyring is not keyring:
            keyring.rest()

    def _scan(self, armored: bytes) -> tuple[KeyInfo, ...]:
        if len(armored) > MAX_KEY_BYTES:
            raise InvalidDocument("request", f"must be at most {MAX_KEY_BYTES} bytes", path="publickey")
        with tempfile.TemporaryDirectory(prefix="scan-", dir=self._folder, ignore_cleanup_errors=True) as folder:
            try:
                return self._open_keyring(Path(folder)).add(armored)
            except InvalidDocument as error:
                raise InvalidDocument("request", error.problem, path="publickey", next_step=error.next_step) from error
