"""Exchanges of agents between a queue of memory and ports of memory: who is given what."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from mig_core.api.metrics import Metrics
from mig_core.api.polls import Waiters
from mig_core.api.relay_hub import RelayHub
from mig_core.domain.exchanges import Request, write_answer
from mig_core.domain.ids import AgentId
from mig_core.domain.messages import Claimed
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.messages import Exchange

AGENT = AgentId("a" * 32)
MESSAGE = Claimed(7, b"{}")


class OneMessage:
    """A queue in which one message waits for the agent; it answers when it is let go.

    Args:
        late: whether the message comes while the first ones are looking.
    """

    def __init__(self, *, late: bool = False) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self._late = late

    async def exchange(self, exchanges: Sequence[Exchange], *, now: datetime) -> Sequence[Sequence[Claimed]]:
        assert now.tzinfo is not None
        self.asked.set()
        late, self._late = self._late, False
        await self.go.wait()
        if late:
            return [[] for _ in exchanges]
        return [[MESSAGE] if one.limit and MESSAGE.id not in one.held else [] for one in exchanges]


class Anything:
    """Every token is right, and nobody wakes anybody."""

    async def match_all(self, given: Sequence[object]) -> Sequence[bool]:
        return [True] * len(given)

    def hear(self, *_: object) -> None:
        """Nothing is said."""


class MemoryPort:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.content: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def admit(self) -> None:
        """Always."""

    def stored(self) -> None:
        """As it may be."""

    def answer(self, content: bytes) -> None:
        self.content.set_result(content)

    def fail(self, error: Exception) -> None:
        self.content.set_exception(error)


def hub_of(queue: OneMessage) -> RelayHub:
    anything = cast("Any", Anything())
    return RelayHub(
        cast("Any", queue),
        lambda: anything,
        anything,
        Waiters(),
        Metrics(),
        anything,
        clock=lambda: datetime.now(UTC),
    )


def test_what_was_found_for_a_connection_that_is_gone_by_then_is_given_to_the_next_one() -> None:
    async def work() -> bytes:
        queue = OneMessage()
        hub = hub_of(queue)
        gone, back = MemoryPort(), MemoryPort()
        visit = hub.bring(gone, AGENT, b"", Request("one", 0, 8))
        await queue.asked.wait()
        hub.leave(visit)
        queue.go.set()

        hub.bring(back, AGENT, b"", Request("one", 0, 8))

        return await asyncio.wait_for(back.content, 60)

    assert asyncio.run(work()) == write_answer([MESSAGE])


def test_of_two_polls_at_once_the_newer_one_is_given_what_comes_while_both_are_looking() -> None:
    async def work() -> bytes:
        queue = OneMessage(late=True)
        hub = hub_of(queue)
        older, newer = MemoryPort(), MemoryPort()
        hub.bring(older, AGENT, b"", Request("one", 30, 8))
        hub.bring(newer, AGENT, b"", Request("one", 30, 8))
        await queue.asked.wait()
        hub._wake([AGENT])
        queue.go.set()

        content = await asyncio.wait_for(newer.content, 60)
        assert isinstance(older.content.exception(), ApiError)
        return content

    assert asyncio.run(work()) == write_answer([MESSAGE])
