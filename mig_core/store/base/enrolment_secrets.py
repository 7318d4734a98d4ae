"""What is kept about the secrets that admit agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import Fingerprint
    from mig_core.store.rows import EnrolmentSecret


class EnrolmentSecrets(Protocol):
    """By name. The secret itself is nowhere; its SHA-256 is."""

    async def add(self, secret: EnrolmentSecret, digest: bytes) -> None:
        """Adds one.

        Raises:
            Conflict: the name is, or was, another's.
            NoRoom: there are as many as may be.
        """
        ...

    async def list(self) -> Sequence[EnrolmentSecret]:
        """All, by name, also those that admit nobody any more."""
        ...

    async def revoke(self, name: str, by: Fingerprint, now: datetime) -> EnrolmentSecret:
        """It admits nobody from now on; harmless to repeat.

        Raises:
            NotFound
        """
        ...
