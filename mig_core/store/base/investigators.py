"""What is kept about investigators: who may log in, and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import Fingerprint
    from mig_core.store.rows import Investigator, Permission


class Investigators(Protocol):
    """Who may log in, and their sessions."""

    async def any(self) -> bool:
        """Whether there is an investigator at all (a platform without one accepts a bootstrap)."""
        ...

    async def bootstrap(self, investigator: Investigator) -> None:
        """Adds the first investigator.

        Raises:
            Conflict: there is one already.
        """
        ...

    async def add(self, investigator: Investigator) -> None:
        """Adds one.

        Raises:
            Conflict: the fingerprint is known already.
        """
        ...

    async def get(self, fingerprint: Fingerprint) -> Investigator:
        """One investigator.

        Raises:
            NotFound
        """
        ...

    async def list(self) -> Sequence[Investigator]:
        """All, by name."""
        ...

    async def change(
        self, fingerprint: Fingerprint, *, active: bool | None = None, permissions: frozenset[Permission] | None = None
    ) -> Investigator:
        """Changes what is given; disabling ends all sessions at once.

        Raises:
            NotFound
            Conflict: nobody active with the INVESTIGATORS permission would be left.
        """
        ...

    async def remove(self, fingerprint: Fingerprint, now: datetime) -> Investigator:
        """Disables one for good: it is listed no more, and may be added anew. What it did keeps its name.

        Raises:
            NotFound
            Conflict: nobody active with the INVESTIGATORS permission would be left.
        """
        ...

    async def put_nonce(self, digest: bytes, expires: datetime) -> None:
        """Remembers a login nonce (its SHA-256), and forgets expired ones."""
        ...

    async def spend_nonce(self, digest: bytes, now: datetime) -> bool:
        """Whether the nonce was known and unexpired; it is not any more."""
        ...

    async def open_session(self, digest: bytes, fingerprint: Fingerprint, expires: datetime) -> None:
        """Remembers a session token (its SHA-256)."""
        ...

    async def session(self, digest: bytes, now: datetime) -> Investigator | None:
        """Whose session this is: None when unknown, expired, or the investigator is not active."""
        ...

    async def close_sessions(self, fingerprint: Fingerprint) -> int:
        """Forgets all sessions of an investigator; returns how many."""
        ...

    async def close_session(self, digest: bytes) -> None:
        """Forgets a session."""
        ...
