"""A simulated agent on the ``https`` relay: one connection polls, another one sends, like the real agent's."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.simulator.connection import HttpConnection, HttpError
from mig_core.domain.document import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.simulator.agent import SimulatedAgent
    from benchmarks.simulator.counts import Counts

_POLL_SECONDS = (25.0, 50.0)
"""As the real agent's."""
_ROOM = 18
"""Messages taken at once, as the real agent does with two workers."""
_PAUSE = 1.0
"""Seconds after a failure."""


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
    ) -> None:
        credential = f"{agent.id}:{token}"
        self._agent = agent
        self._counts = counts
        self._interval = heartbeat_interval
        self._listening: Callable[[], None] | None = listening
        self._session = f"simulated-{agent.id}"
        self._polls = HttpConnection(api, credential)
        self._sends = HttpConnection(api, credential)
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Polls, answers, and says that it is alive."""
        beating = asyncio.create_task(self._beat())
        try:
            while True:
                try:
                    await self._poll()
                except HttpError:
                    self._counts.broken += 1
                    await asyncio.sleep(_PAUSE)
        finally:
            for task in (beating, *self._tasks):
                task.cancel()
            await asyncio.gather(beating, *self._tasks, return_exceptions=True)
            self._polls.close()
            self._sends.close()

    async def _poll(self) -> None:
        # The first one comes back at once and says that the login works; as the real agent does it.
        wait = 0.0 if self._listening is not None else random.uniform(*_POLL_SECONDS)
        path = f"/api/v1/relay/commands?session={self._session}&wait={int(wait)}&max={_ROOM}"
        status, content = await self._polls.exchange("GET", path)
        if status != 200:
            raise HttpError(f"a poll was answered with {status}: {content[:200]!r}")
        if self._listening is not None:
            self._listening()
            self._listening = None
        for message in json.loads(content)["messages"]:
            self._counts.received += 1
            task = asyncio.create_task(self._answer(message["id"], dump(message["body"])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, body: bytes) -> None:
        answer = self._agent.answer(body, datetime.now(UTC))
        if answer is not None:
            await self._send("messages/result", answer)
            self._counts.answered += 1
        await self._send("acknowledge", dump({"session": self._session, "ids": [number]}))

    async def _beat(self) -> None:
        await self._send("messages/heartbeat", self._agent.heartbeat(datetime.now(UTC)))
        await asyncio.sleep(random.uniform(0, self._interval))
        while True:
            await self._send("messages/heartbeat", self._agent.heartbeat(datetime.now(UTC)))
            await asyncio.sleep(self._interval)

    async def _send(self, path: str, body: bytes) -> None:
        """Sends until it is taken."""
        while True:
            async with self._sending:
                try:
                    status, content = await self._sends.exchange("POST", f"/api/v1/relay/{path}", body)
                    if status == 204:
                        return
                    self._counts.complain(f"{path}: {status} {content[:200]!r}")
                except HttpError:
                    self._counts.broken += 1
            await asyncio.sleep(_PAUSE)
