"""What is kept about proposals: questions that wait for an investigator who signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import ActionId, Fingerprint
    from mig_core.store.rows import ProposalRow, ProposalState


class Proposals(Protocol):
    """The inbox. Open ones are forgotten after 30 days, decided ones after 90."""

    async def add(self, identifier: str, proposer: Fingerprint, payload: bytes, now: datetime) -> ProposalRow:
        """Puts one in.

        Args:
            identifier: a UUID, made by the caller.

        Raises:
            NoRoom: as many of this proposer wait as may.
        """
        ...

    async def get(self, identifier: str) -> ProposalRow:
        """One of them.

        Raises:
            NotFound
        """
        ...

    async def list(
        self, *, states: Sequence[ProposalState] = (), cursor: str = "", limit: int = 50
    ) -> tuple[Sequence[ProposalRow], str]:
        """Proposals, latest first; of these states, or all."""
        ...

    async def decide(
        self,
        identifier: str,
        state: ProposalState,
        by: Fingerprint,
        now: datetime,
        *,
        answer: str = "",
        action: ActionId | None = None,
    ) -> ProposalRow:
        """Signed, or rejected; once.

        Raises:
            NotFound
            Conflict: somebody has decided already; says who and how.
        """
        ...
