"""How schedulers know of one another that one has ended."""

from __future__ import annotations

from typing import Protocol


class Presence(Protocol):
    """That this scheduler is there, and what others left that are not there any more."""

    async def keep(self) -> None:
        """Until it is cancelled: tells that this scheduler is there, and frees what those had leased that have ended.

        Whoever is slow, or stopped for a while, has not ended. Nothing here is needed for anything to be right: leases
        end by themselves, too.
        """
        ...
