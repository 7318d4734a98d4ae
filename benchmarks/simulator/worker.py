"""One process full of simulated agents, on one event loop: ``python -m benchmarks.simulator.worker``.

Started by ``workers``: reads its orders as one line of JSON and writes a line of JSON when all agents have their keys.
After another line of input they enrol; it writes a line when all are enrolled, when all of them listen, and at the end,
which the end of its standard input brings about.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from benchmarks.simulator.agent import SimulatedAgent
from benchmarks.simulator.amqp_agents import AmqpAgent
from benchmarks.simulator.connection import HttpConnection, HttpError
from benchmarks.simulator.counts import Counts
from benchmarks.simulator.https_agents import HttpsAgent

_ENROLLERS = 8
"""Enrolments under way at the same time."""
_DOORS = {"amqp": 16, "https": 64}
"""Connections being made at the same time."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is to do."""

    api: str
    relay: str
    """``https``, or the broker's URL without a login."""
    secret: str
    first: int
    """Number of its first agent."""
    count: int
    finds_every: int
    """Each so-manieth agent finds something."""
    heartbeat_interval: float


class Worker:
    """Its agents, from enrolment to end."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._counts = Counts()
        self._all_listen = asyncio.Event()

    async def run(self) -> None:
        """Until standard input ends."""
        orders = self._orders
        started = datetime.now(UTC)
        kind = "https" if orders.relay == "https" else "amqp"
        numbers = range(orders.first, orders.first + orders.count)
        waiting = [
            SimulatedAgent(number, kind, finds=number % orders.finds_every == 0, started=started) for number in numbers
        ]
        self._say("made")
        if not sys.stdin.readline():
            return
        told: list[tuple[SimulatedAgent, str]] = []
        await asyncio.gather(*(self._enrol(waiting, told) for _ in range(_ENROLLERS)))
        self._say("enrolled")

        doors = asyncio.Semaphore(_DOORS[kind])
        tasks = [asyncio.create_task(self._connected(agent, token, doors).run()) for agent, token in told]
        ended = asyncio.create_task(_standard_input_ended())
        listening = asyncio.create_task(self._all_listen.wait())
        await asyncio.wait({ended, listening}, return_when=asyncio.FIRST_COMPLETED)
        self._say("listening")
        await ended
        for task in (listening, *tasks):
            task.cancel()
        await asyncio.gather(listening, *tasks, return_exceptions=True)
        self._say("end")

    async def _enrol(self, waiting: list[SimulatedAgent], told: list[tuple[SimulatedAgent, str]]) -> None:
        api = HttpConnection(self._orders.api)
        while waiting:
            agent = waiting.pop()
            try:
                body = agent.enrolment(self._orders.secret, datetime.now(UTC))
                status, content = await api.exchange("POST", "/api/v1/enrol", body)
                if status == 200:
                    told.append((agent, json.loads(content)["token"]))
                    self._counts.enrolled += 1
                else:
                    self._counts.complain(f"enrolment: {status} {content[:300]!r}")
            except HttpError as error:
                self._counts.complain(str(error))
        api.close()

    def _connected(self, agent: SimulatedAgent, token: str, doors: asyncio.Semaphore) -> HttpsAgent | AmqpAgent:
        orders, counts = self._orders, self._counts
        interval = orders.heartbeat_interval
        if orders.relay == "https":
            return HttpsAgent(
                agent,
                orders.api,
                token,
                counts,
                heartbeat_interval=interval,
                listening=self._one_more_listens,
                doors=doors,
            )
        return AmqpAgent(
            agent,
            orders.relay,
            token,
            counts,
            heartbeat_interval=interval,
            listening=self._one_more_listens,
            doors=doors,
        )

    def _one_more_listens(self) -> None:
        self._counts.listening += 1
        if self._counts.listening == self._counts.enrolled:
            self._all_listen.set()

    def _say(self, event: str) -> None:
        print(json.dumps({"event": event, **asdict(self._counts)}), flush=True)


async def _standard_input_ended() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main() -> None:
    """Runs one worker."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    orders = Orders(**json.loads(sys.stdin.readline()))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Worker(orders).run())


if __name__ == "__main__":
    main()
