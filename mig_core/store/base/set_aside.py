"""What is kept of messages that cannot be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.messages import Inbound


class SetAside(Protocol):
    """Messages out of the way, so that the others go on; an operator looks at them."""

    async def put(self, relay: str, message: Inbound, reason: str, now: datetime) -> int:
        """Keeps a message that came over ``relay``; returns its number. Bounded: the oldest make room."""
        ...

    async def forget(self, *, before: datetime) -> int:
        """Forgets what has lain here since before; returns how many."""
        ...
