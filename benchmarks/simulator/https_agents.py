"""A simulated agent on the ``https`` relay: one connection, over which it polls and sends, like the real agent's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.simulator.connection import HttpConnection, HttpError
from mig_core.domain.document import dump
from mig_core.domain.exchanges import Request
from mig_core.domain.messages import Kind
from mig_core.network.backoff import Backoff
from mig_core.relay.https_agent import POLL_SECONDS, RETURN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.simulator.agent import SimulatedAgent
    from benchmarks.simulator.counts import Counts

_ROOM = 18
"""Messages taken at once, as the real agent does with two workers."""
_MEDIA = "application/octet-stream"


class HttpsAgent:
    """Connects one agent until its task is cancelled."""

    def __init__(
        self,
        agent: SimulatedAgent,
        api: str,
        token: str,
        counts: Counts,
        *,
        heartbeat_interval: float,
        listening: Callable[[], None],
        doors: asyncio.Semaphore,
    ) -> None:
        self._doors = doors
        self._agent = agent
        self._counts = counts
        self._interval = heartbeat_interval
        self._listening: Callable[[], None] | None = listening
        self._session = f"simulated-{agent.id}"
        self._connection = HttpConnection(api, f"{agent.id}:{token}")
        self._messages: list[tuple[Kind, bytes]] = []
        self._acknowledged: list[int] = []
        self._next_beat = 0.0
        self._backoff = Backoff(spread=RETURN_SECONDS)

    async def run(self) -> None:
        """Polls, answers, and says that it is alive."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                if loop.time() >= self._next_beat:
                    # The first soon after the start, and then spread over the interval.
                    first = not self._next_beat
                    self._next_beat = loop.time() + self._interval * (random.random() if first else 1.0)
                    self._messages.append((Kind.HEARTBEAT, self._agent.heartbeat(datetime.now(UTC))))
                try:
                    await self._exchange()
                    self._backoff.reset()
                except HttpError as error:
                    self._counts.broken += 1
                    self._counts.complain(str(error))
                    await asyncio.sleep(self._backoff.next())
        finally:
            with contextlib.suppress(HttpError):
                self._connection.close()

    async def _exchange(self) -> None:
        # The first one comes back at once and says that the login works; as the real agent does it.
        wait = 0.0 if not self._connection.connected else random.uniform(*POLL_SECONDS)
        request = Request(self._session, int(wait), _ROOM, self._acknowledged, self._messages)
        if not self._connection.connected:
            # A machine of its own would not let a new connection wait for 4,999 others.
            async with self._doors:
                status, content = await self._ask(request)
        else:
            status, content = await self._ask(request)
        if status != 200:
            raise HttpError(f"an exchange was answered with {status}: {content[:200]!r}")
        self._counts.answered += sum(kind is Kind.RESULT for kind, _ in self._messages)
        self._messages, self._acknowledged = [], []
        if self._listening is not None:
            self._listening()
            self._listening = None
        answer = json.loads(content)
        if "problem" in answer:
            raise HttpError(f"an exchange came to nothing: {answer['problem']}")
        for message in answer["messages"]:
            self._counts.received += 1
            result = self._agent.answer(dump(message["body"]), datetime.now(UTC))
            if result is None:
                self._counts.repeated += 1
            else:
                self._messages.append((Kind.RESULT, result))
            self._acknowledged.append(message["id"])

    async def _ask(self, request: Request) -> tuple[int, bytes]:
        return await self._connection.exchange("POST", "/api/v1/relay/exchange", request.to_bytes(), media=_MEDIA)
