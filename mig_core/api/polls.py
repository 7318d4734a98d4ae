"""Agents' open long polls: at most one an agent, and all of them answered when the server stops.

A poll that its agent has given up (the connection broke, the process was restarted) must not take commands from the one
that replaced it: the newest ends the older one. Not shared between processes; there, claims end one another by session.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mig_core.domain.ids import AgentId
    from mig_core.store.base import Watch


class Woken(Enum):
    """Why a wait ended."""

    MESSAGE = "message"
    TIME = "time"
    TAKEN_OVER = "taken over"
    GONE = "gone"
    """The client hung up."""
    RETIRED = "retired"
    STOPPING = "stopping"


class Endable(Protocol):
    """Somebody who waits, and can be ended from outside."""

    def end(self, why: Woken) -> None:
        """Ends the present and every later wait."""
        ...


class Waiter:
    """Somebody who waits for a wakeup, and can be ended from outside. Use within one task."""

    def __init__(self, disconnected: Callable[[], Awaitable[None]]) -> None:
        self._ended: asyncio.Future[Woken] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.ensure_future(disconnected())

    def end(self, why: Woken) -> None:
        """Ends the present and every later wait."""
        if not self._ended.done():
            self._ended.set_result(why)

    @property
    def ended(self) -> Woken | None:
        """Why there is nothing more to wait for, if so."""
        if self._ended.done():
            return self._ended.result()
        return Woken.GONE if self._gone.done() else None

    async def wait(self, watch: Watch, timeout: float) -> Woken:
        """Returns at a wakeup, after ``timeout`` seconds, or when the waiter is ended."""
        waiting = asyncio.ensure_future(watch.wait(timeout))
        try:
            everything: set[asyncio.Future[Any]] = {waiting, self._gone, self._ended}
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            if self.ended is not None:
                return self.ended
            return Woken.MESSAGE if await waiting else Woken.TIME
        finally:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting

    def close(self) -> None:
        """Stops watching the connection."""
        self._gone.cancel()
        self._ended.cancel()


class Waiters:
    """Everybody who waits in this process."""

    def __init__(self) -> None:
        self._agents: dict[AgentId, Endable] = {}
        self._open: set[Endable] = set()
        self._stopping = False

    @contextmanager
    def enter(self, disconnected: Callable[[], Awaitable[None]], agent: AgentId | None = None) -> Iterator[Waiter]:
        """A waiter for the time of the block; for an agent, its older poll ends with ``TAKEN_OVER``."""
        waiter = Waiter(disconnected)
        self.park(waiter, agent)
        try:
            yield waiter
        finally:
            self.leave(waiter, agent)
            waiter.close()

    def park(self, waiter: Endable, agent: AgentId | None = None) -> None:
        """Knows it from now on; for an agent, its older poll ends with ``TAKEN_OVER``."""
        if agent is not None:
            older, self._agents[agent] = self._agents.get(agent), waiter
            if older is not None:
                older.end(Woken.TAKEN_OVER)
        self._open.add(waiter)
        if self._stopping:
            waiter.end(Woken.STOPPING)

    def leave(self, waiter: Endable, agent: AgentId | None = None) -> None:
        """Knows it no more."""
        self._open.discard(waiter)
        if agent is not None and self._agents.get(agent) is waiter:
            del self._agents[agent]

    def drop(self, agent: AgentId) -> None:
        """Ends an agent's poll: it was retired."""
        if (waiter := self._agents.get(agent)) is not None:
            waiter.end(Woken.RETIRED)

    def stop(self) -> None:
        """Ends every wait, present and future, so that the server can stop at once."""
        self._stopping = True
        for waiter in tuple(self._open):
            waiter.end(Woken.STOPPING)
