"""What one sink may do to the others: its own bounds, and what happens when the spool they share is full.

A sink that takes nothing holds back the segments from its oldest alert on. Beyond its own bound (``wait_mb``) its
oldest alerts are dropped for it alone, counted, and said. When the spool is full, the sinks that hold the oldest
segment lose it, as long as some other sink is not far behind: then the sources go on and so does that sink. Are all of
them far behind, as with a cable that is out, nothing is dropped, and the sources wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.delivery import Delivery
    from mig_dispatch.receipts import Receipts
    from mig_dispatch.spool import Spool


class Bounds:
    """Looks after all sinks of one spool."""

    def __init__(self, spool: Spool, receipts: Receipts, deliveries: Sequence[Delivery]) -> None:
        self._spool = spool
        self._receipts = receipts
        self._deliveries = deliveries

    def enforce(self) -> None:
        """Tells sinks that are beyond their bounds to drop their oldest. Worth calling twice a second."""
        for one in self._deliveries:
            bound = one.settings.wait_bytes
            if bound:
                one.drop_before(self._spool.newest(bound), f"more than {bound >> 20} MB waited for it")
        if self._spool.waiting:
            for one in self._sacrificed():
                one.drop_before(self._spool.second(), "it filled the spool, and other sinks go on")

    def holders(self) -> list[str]:
        """The names of the sinks that hold the oldest segment, when more than half of the spool is in use."""
        if self._spool.size <= self._spool.max_bytes // 2:
            return []
        return [one.settings.name for one in self._behind()]

    def _behind(self) -> list[Delivery]:
        second = self._spool.second()
        return [one for one in self._deliveries if self._next(one) < second]

    def _sacrificed(self) -> list[Delivery]:
        """The sinks in the oldest segment, if others are well on."""
        well = self._spool.max_bytes // 2
        behind = self._behind()
        on = [one for one in self._deliveries if self._spool.bytes_from(self._next(one)) <= well]
        return behind if on else []

    def _next(self, delivery: Delivery) -> int:
        return self._receipts.of(delivery.settings.name).next
