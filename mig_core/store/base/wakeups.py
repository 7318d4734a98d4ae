"""How API and scheduler wait for changes without asking the tables again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager


class Wakeups(Protocol):
    """What wakes those who wait (LISTEN/NOTIFY). One connection a process.

    Channels: ``action`` (an action is due or changed; key = action id), ``outbox`` (commands or cancels are queued),
    ``agent`` (an agent waits to be admitted, or to be dismissed; key = agent id), ``relay`` (key = agent id: messages
    wait for its poll), ``inbound`` (agents sent something), ``login`` (an agent's login is good no more: it was
    retired, or is to get another token; key = agent id). A watch without key is woken by everything on its channel. A
    wakeup may be missed while the connection is down; after a reconnect everybody is woken once.
    """

    def watch(self, channel: str, key: str = "") -> AbstractAsyncContextManager[Watch]:
        """Registers *before* the caller looks at the tables, so that nothing falls between."""
        ...

    def hear(self, channel: str, call: Callable[[Sequence[str]], None]) -> None:
        """From now on ``call`` is called with the keys of each wakeup on the channel; with none after a reconnect.

        For whoever keeps thousands of waits itself. It runs on the event loop and must return at once.
        """
        ...


class Watch(Protocol):
    """One registered interest."""

    async def wait(self, timeout: float) -> bool:
        """True at the first wakeup since the last ``wait`` (at once if there was one); False after ``timeout`` s."""
        ...
