"""One exchange of an agent, from its arrival to its answer, and where both go. :mod:`.relay_hub` works on them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.api.polls import Woken
    from mig_core.domain.exchanges import Request
    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Claimed

    Finish = Callable[["Visit", Sequence[Claimed]], None]


class Port(Protocol):
    """Where an exchange came from, and its answer goes. Nothing here raises but :meth:`admit`."""

    def admit(self) -> None:
        """The token is right.

        Raises:
            ApiError: there is no room for another agent.
        """
        ...

    def stored(self) -> None:
        """What it handed in is safe; the answer comes later."""
        ...

    def answer(self, content: bytes) -> None:
        """The answer."""
        ...

    def fail(self, error: Exception) -> None:
        """There is none."""
        ...


class Visit:
    """One exchange, from its arrival to its answer."""

    __slots__ = (
        "again",
        "agent",
        "busy",
        "deadline",
        "digest",
        "ended",
        "finish",
        "limit",
        "port",
        "request",
        "session",
        "unsure",
    )

    def __init__(
        self, finish: Finish, port: Port, agent: AgentId, digest: bytes, request: Request, *, at_once: bool
    ) -> None:
        """``finish`` is called with the visit and what was found for it when it is ended while it waits."""
        self.finish = finish
        self.port = port
        self.agent = agent
        self.digest = digest
        self.session = request.session
        self.limit = request.limit
        self.deadline = time.monotonic() + (0 if at_once else request.wait)
        self.request: Request | None = request
        """What it hands in; None once that is stored."""
        self.busy = True
        """Whether it is in a transaction, or waits for one."""
        self.again = False
        """Whether a message came for it meanwhile."""
        self.unsure = True
        """Whether its token is to be checked: at first, and when it may have been missed that its login has ended."""
        self.ended: Woken | None = None

    def end(self, why: Woken) -> None:
        """Ends the wait, now or after the transaction it is in."""
        if self.ended is None:
            self.ended = why
            if not self.busy:
                self.finish(self, ())
