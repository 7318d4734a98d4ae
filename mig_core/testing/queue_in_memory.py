"""What waits between agents and schedulers, in memory: the queue of :mod:`.https_relay_site`."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.messages import Backlog, Claimed, Inbound, Kind, Outgoing, Piece
from mig_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Exchange

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


@dataclass(eq=False, slots=True)
class Row:
    """A queued message."""

    id: int
    agent: str
    body: bytes
    kind: Kind | None = None
    expires: datetime = END
    leased_until: datetime = BEGINNING
    session: str = ""


class QueueInMemory:
    """A RelayQueue. Its coroutines never wait, so that threads may run them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.polls: dict[str, object] = {}
        self.away = False
        self.commands: list[Row] = []
        self._inbound: list[Row] = []
        self._pieces: dict[tuple[str, str], dict[int, bytes]] = {}
        self._last = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def wait(self, seconds: float) -> None:
        """The collaborator LISTEN/NOTIFY provides in the store."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.add(mine)
        try:
            async with asyncio.timeout(min(seconds, 0.5)):
                await mine[1].wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(mine)

    def _number(self) -> int:
        self._last += 1
        return self._last

    async def put_commands(self, messages: Sequence[Outgoing]) -> None:
        """Queues messages and wakes polls."""
        self._require()
        with self.changed:
            self.commands += [Row(self._number(), one.agent, one.body, None, one.expires) for one in messages]
            self.changed.notify_all()

    async def may_receive(self, agent: AgentId, session: str, *, now: datetime) -> bool:
        """Whoever asks."""
        return True

    async def claim(
        self, agent: AgentId, session: str, *, limit: int, lease: float, now: datetime
    ) -> Sequence[Claimed]:
        """Leases messages to one agent process."""
        with self.changed:
            free = [
                row
                for row in self.commands
                if row.agent == agent and row.expires > now and (row.leased_until <= now or row.session != session)
            ]
            return [Claimed(row.id, row.body) for row in self._lease(free[:limit], lease, now, session)]

    async def acknowledge(self, agent: AgentId, ids: Sequence[int]) -> None:
        """Removes an agent's messages."""
        with self.changed:
            self.commands = [row for row in self.commands if not (row.agent == agent and row.id in set(ids))]

    async def exchange(self, exchanges: Sequence[Exchange], *, now: datetime) -> Sequence[Sequence[Claimed] | None]:
        """Each for itself."""
        results: list[Sequence[Claimed]] = []
        for one in exchanges:
            for kind, body in one.messages:
                await self.put_inbound(one.agent, kind, body)
            await self.acknowledge(one.agent, one.acknowledged)
            results.append(await self.claim(one.agent, one.session, limit=one.limit, lease=60.0, now=now))
        return results

    async def put_inbound(self, agent: AgentId, kind: Kind, body: bytes) -> None:
        """Stores what an agent sent, and wakes schedulers."""
        with self.changed:
            self._inbound.append(Row(self._number(), agent, body, kind))
        for loop, event in tuple(self._waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def put_piece(self, agent: AgentId, piece: Piece, now: datetime) -> bool:
        """Stores a piece, and the message with the last of them."""
        with self.changed:
            pieces = self._pieces.setdefault((agent, piece.upload), {})
            pieces[piece.number] = piece.body
            if len(pieces) < piece.count:
                return False
            del self._pieces[agent, piece.upload]
            stream = b"".join(pieces[number] for number in sorted(pieces))
        await self.put_inbound(agent, Kind.RESULT, zlib.decompress(stream))
        return True

    async def drop_pieces(self, *, before: datetime) -> int:
        """Forgets all of them."""
        with self.changed:
            number = sum(len(pieces) for pieces in self._pieces.values())
            self._pieces.clear()
        return number

    async def backlog(self) -> Backlog:
        """What waits to be recorded."""
        with self.changed:
            sizes: Counter[str] = Counter()
            for row in self._inbound:
                sizes[row.agent] += len(row.body)
        return Backlog(sizes.total(), sizes)

    async def take_inbound(
        self, *, limit: int, lease: float, now: datetime, recorded: Sequence[int] = ()
    ) -> Sequence[tuple[int, Inbound]]:
        """Leases the oldest messages."""
        await self.remove_inbound(recorded)
        with self.changed:
            free = [row for row in self._inbound if row.leased_until <= now][:limit]
            rows = self._lease(free, lease, now, "")
            return [(row.id, Inbound(row.kind, row.agent, row.body)) for row in rows if row.kind is not None]

    async def remove_inbound(self, ids: Sequence[int]) -> None:
        """Removes messages."""
        self._require()
        with self.changed:
            self._inbound = [row for row in self._inbound if row.id not in set(ids)]

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Removes what waits for these agents."""
        self._require()
        with self.changed:
            self.commands = [row for row in self.commands if row.agent not in agents]

    def end_leases(self) -> None:
        """As if their time had run out."""
        with self.changed:
            for row in self.commands:
                row.leased_until = BEGINNING
            self.changed.notify_all()

    def _lease(self, rows: list[Row], lease: float, now: datetime, session: str) -> list[Row]:
        for row in rows:
            row.leased_until = datetime.fromtimestamp(now.timestamp() + lease, UTC)
            row.session = session
        return rows

    def _require(self) -> None:
        if self.away:
            raise StoreUnavailable("the queue is away")
