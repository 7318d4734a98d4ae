"""The relay that the agent listens on at the moment. One thread changes it, the others use it or wait for one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mig_core.errors import RelayUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.relay.base import AgentRelay, Delivery


class CurrentRelay:
    """None at first, and while the agent enrols again.

    Args:
        stopping: set when the agent ends: then nobody waits any more, and no relay is begun.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._relay: AgentRelay | None = None
        self._changed = threading.Condition()

    def begin(self, relay: AgentRelay, handle: Callable[[Delivery], None]) -> bool:
        """Starts a relay and gives it to all; False when the agent ends."""
        with self._changed:
            if self._stopping.is_set():
                return False
            self._relay = relay
            relay.start(handle)
            self._changed.notify_all()
        return True

    def end(self) -> None:
        """Takes it from all and closes it; who waits for one looks whether the agent ends."""
        with self._changed:
            relay, self._relay = self._relay, None
            self._changed.notify_all()
        if relay is not None:
            relay.close()

    @property
    def connected(self) -> bool:
        """Whether messages can arrive right now."""
        relay = self._relay
        return relay is not None and relay.connected

    @property
    def trouble(self) -> str:
        """What the platform should know about receiving here; empty: nothing, or there is no relay."""
        relay = self._relay
        return relay.trouble if relay is not None else ""

    def usable(self, seconds: float) -> AgentRelay:
        """Waits for one.

        Raises:
            RelayUnavailable: there is none within so many seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._relay is not None or self._stopping.is_set(), seconds)
            relay = self._relay
        if relay is None:
            raise RelayUnavailable("no relay yet")
        return relay
