"""The platform log: what the platform was made to do, by whom, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.store.rows import LogRow, LogWish


class PlatformLog(Protocol):
    """Entries are added and read, never changed. Changes of other tables write their entries themselves."""

    async def note(
        self, what: str, *, subject: str = "", subject_name: str = "", detail: Mapping[str, JSON] | None = None
    ) -> None:
        """Adds an entry about something that changes nothing, like a login that failed. Who and where from is what
        :func:`mig_core.store.acting.acting_for` says."""
        ...

    async def list(self, wish: LogWish, *, cursor: str = "", limit: int = 100) -> tuple[Sequence[LogRow], str]:
        """Entries, latest first.

        Raises:
            InvalidDocument: the cursor is none of ours.
        """
        ...
