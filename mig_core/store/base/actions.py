"""What is kept about actions: signatures, fan-out, cancels, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from mig_core.domain.action import Action
    from mig_core.domain.command import ActionState
    from mig_core.domain.ids import ActionId, Fingerprint
    from mig_core.domain.target import Target
    from mig_core.store.rows import ActionRow, AtOnce, Claim, FannedOut


class Actions(Protocol):
    """Questions, and what became of them."""

    async def create(
        self, action: Action, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState, now: datetime
    ) -> ActionRow:
        """Adds an action, PENDING or SCHEDULED; ``signers[0]`` is its creator.

        Raises:
            Conflict: the id is known already.
        """
        ...

    async def sign(
        self, action: ActionId, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState
    ) -> ActionRow:
        """Replaces the envelope of a PENDING action by one with more signatures.

        Raises:
            NotFound
            Conflict: it is not pending (any more), or somebody else signed at the same moment.
        """
        ...

    async def get(self, action: ActionId) -> ActionRow:
        """One action with its counts.

        Raises:
            NotFound
        """
        ...

    async def list(
        self,
        *,
        states: Sequence[ActionState] = (),
        name: str = "",
        created_by: Fingerprint | None = None,
        prefix: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> tuple[Sequence[ActionRow], str]:
        """Actions, latest first. ``name`` is a part of the name, without regard to case; ``prefix`` hexadecimal digits
        that the id begins with, without hyphens.
        """
        ...

    async def cancel(self, action: ActionId, envelope: bytes, *, by: Fingerprint, now: datetime) -> ActionRow:
        """Records a signed cancel: no new command leaves; queued ones become CANCELLED; for sent ones a cancel goes to
        the agents' relays.

        Sent commands stay open until the agent answers (CANCELLED, or its real answer) or the window ends. The action's
        state becomes CANCELLED when the last command is final. Harmless to repeat.

        Raises:
            NotFound
            Conflict: it has already ended.
        """
        ...

    async def due(self, *, now: datetime, limit: int = 100) -> Sequence[ActionId]:
        """SCHEDULED actions whose window is open."""
        ...

    async def fan_out(
        self,
        action: ActionId,
        target: Target,
        *,
        now: datetime,
        at_once: AtOnce | None = None,
        claim: Claim | None = None,
    ) -> FannedOut | None:
        """Makes one QUEUED command for each targeted agent, in one statement, and the action INFLIGHT.

        With ``at_once`` commands for agents of that relay are SENT: their messages are put into its queue by the same
        transaction. With ``claim`` others are leased to the caller as by :meth:`Commands.claim_unsent`.

        The target is evaluated under the read-only role. None when another scheduler was first (or the action is not
        SCHEDULED). With no agent, or a target that the database cannot evaluate in time, the action is COMPLETED with
        the reason.
        """
        ...

    async def abandon(self, action: ActionId, reason: str, *, now: datetime) -> None:
        """Ends a SCHEDULED action without commands: COMPLETED, with the reason."""
        ...

    async def settle(self, now: datetime) -> Sequence[ActionId]:
        """Ends actions whose every command is final; returns them."""
        ...

    async def expire(self, *, now: datetime, grace: timedelta) -> int:
        """Ends what nobody will answer any more: PENDING actions past their window, and open commands past window plus
        grace.

        The reason says since when the agent is silent. Returns how many commands and actions changed.
        """
        ...

    async def make_room(self, now: datetime) -> None:
        """Makes the partitions of commands for this week and the next; :meth:`fan_out` makes what it needs, too."""
        ...

    async def forget(self, *, before: datetime) -> int:
        """Deletes ended actions that finished before; returns how many. Nobody sees their commands any more.

        The commands leave the disk a week at a time, when no action has any in that week.
        """
        ...
