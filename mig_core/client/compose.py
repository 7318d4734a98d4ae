"""Makes actions: fills in id, name and window, so that only what is asked has to be said."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.action import Action
from mig_core.domain.ids import ActionId, uuid7
from mig_core.domain.times import CLOCK_TOLERANCE
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.action import Operation
    from mig_core.domain.proposal import Proposal

MAX_NAME = 2000


def compose_action(
    operations: Sequence[Operation],
    *,
    name: str,
    target: str,
    expiry: timedelta,
    description: str = "",
    threat: str = "",
    now: datetime | None = None,
    randomness: bytes | None = None,
) -> Action:
    """A new action whose window ends ``expiry`` from now. To be signed next.

    The window begins a little before now: agents refuse an action before its time by *their* clock, without tolerance.

    Args:
        operations: 1 to 64.
        name: at most 2,000 characters; a longer one is cut, an empty one becomes the modules' names.
        now: aware; default: the system's clock.
        randomness: 10 bytes for the id; default: the system's.

    Raises:
        InvalidDocument: the window is empty or longer than 31 days.
    """
    if expiry <= timedelta(0):
        raise InvalidDocument(
            "action", "would end as it begins: no agent could answer", path="expiry", next_step="give it time, like 60s"
        )
    moment = now or datetime.now(UTC)
    return Action(
        id=ActionId(uuid7(moment, randomness or os.urandom(10))),
        name=name.strip()[:MAX_NAME] or ", ".join(one.module for one in operations),
        target=target,
        valid_from=(moment - CLOCK_TOLERANCE).replace(microsecond=0),
        expire_after=moment + expiry,
        operations=tuple(operations),
        description=description,
        threat=threat,
    )


def compose_proposal(proposed: Proposal) -> Action:
    """The action that a proposal asks for; its window begins now."""
    return compose_action(
        proposed.operations,
        name=proposed.name,
        target=proposed.target,
        expiry=proposed.expiry,
        description=proposed.description,
        threat=proposed.threat,
    )
