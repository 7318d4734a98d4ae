"""Who is connected, and who has to go so that others can be: bounds for strangers, room for those who are known.

Everybody begins as a *guest*. Whoever shows a valid login on a connection is known from then on. Guests may hold few
descriptors, in all and from one address; a guest that keeps us waiting (for a head, for the rest of a body, idle) goes
first when room is needed, the longest waiting before the others. Agents may hold all but what is kept back for
investigators.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mig_core.api.clients import bucket_of
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.api.clients import TrustedProxies

SCOPE_KEY = "mig.connection"
"""Where, in a request's ASGI scope, the application finds the connection it came over."""
MOST_DESCRIPTORS = 1 << 20
OWN_DESCRIPTORS = 64
"""For the database, the log, gpg, and what a library opens for a moment."""


class Who(StrEnum):
    """What is known of whoever is at the other end."""

    GUEST = "guest"
    AGENT = "agent"
    INVESTIGATOR = "investigator"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be."""

    guests: int
    guests_an_address: int
    agents: int
    all: int
    head_seconds: float = 15.0
    """From accepting a connection (or the first byte of a further request) until its head must be complete; TLS and
    all."""
    idle_seconds: float = 75.0
    """An agent's connection without a request is kept so long: longer than any poll."""
    parked: int = 1024
    """Accepted connections that wait because their address has its share of guests already."""
    grace_seconds: float = 1.0
    """A guest is never sent away younger than this: its head may be on its way."""

    @classmethod
    def of_descriptors(cls, descriptors: int) -> ConnectionLimits:
        """What so many descriptors allow: an eighth for guests, a sixteenth for investigators, the rest for agents; of
        what is free, a quarter for those who wait to be guests."""
        every = max(16, descriptors - OWN_DESCRIPTORS)
        guests = min(max(8, every // 8), 1024)
        reserve = min(max(4, every // 16), 256)
        return cls(guests, max(4, guests // 4), every - guests - reserve, every, parked=max(guests, every // 4))


def raise_descriptor_limit() -> None:
    """Allows this process as many descriptors as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """How many descriptors this process may have now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


class Connection:
    """One of them. The protocol tells it what happens; ``cut`` ends it."""

    __slots__ = ("_all", "_cut", "address", "announced", "client", "closed", "since", "waiting", "who")

    def __init__(self, everybody: Connections, address: str, cut: Callable[[], None], now: float) -> None:
        self._all = everybody
        self._cut = cut
        self.address = address
        """What it counts under; empty: a trusted proxy, for whom there is no bound by address."""
        self.who = Who.GUEST
        self.waiting = True
        """Whether we wait for the other end."""
        self.since = now
        """When it was accepted."""
        self.closed = False
        self.announced = False
        """Whether a proxy says first for whom it speaks."""
        self.client: tuple[str, int] | None = None
        """For whom, when it did."""

    def replace_cut(self, cut: Callable[[], None]) -> None:
        """Another way to end it, now that the protocol stands."""
        self._cut = cut

    def awaits_head(self) -> None:
        """Some of a request's head is there."""
        self._all.heads.setdefault(self, self._all.now())

    def has_head(self) -> None:
        """The head is complete."""
        self._all.heads.pop(self, None)

    def has_request(self) -> None:
        """The request is complete: now it is on us."""
        self.waiting = False

    def has_response(self) -> None:
        """The answer is given: now it is on the other end again."""
        self.waiting = True

    def rests(self) -> None:
        """The answer is given, and nothing else watches how long the next request takes."""
        self.waiting = True
        self._all.idle[self] = self._all.now()

    def stirs(self) -> None:
        """Something came."""
        self._all.idle.pop(self, None)

    def admit(self, who: Who) -> None:
        """A valid login came over it.

        Raises:
            ApiError: 503, agents hold as many connections as they may.
        """
        if self.who is not Who.GUEST or self.closed:
            return
        self._all.known(self, who)

    def cut(self, why: str) -> None:
        """Ends it from our side."""
        if not self.closed:
            self._all.cut[why] += 1
            self.close()
            self._cut()

    def close(self) -> None:
        """It has ended."""
        if not self.closed:
            self.closed = True
            self._all.forget(self)


class Connections:
    """All of one process. For one event loop.

    Args:
        limits: how many there may be.
        proxies: whose addresses stand for many clients.
        now: seconds that never run backwards.
    """

    def __init__(
        self, limits: ConnectionLimits, proxies: TrustedProxies, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.now = now
        self.lag = 0.0
        """Seconds by which this process is late: what it has not read yet, nobody can be blamed for."""
        self.counts: Counter[Who] = Counter()
        self.cut: Counter[str] = Counter()
        """Connections ended from our side, by reason."""
        self.heads: dict[Connection, float] = {}
        """Who owes us a head, and since when; the longest first."""
        self.idle: dict[Connection, float] = {}
        """Agents without a request, and since when; the longest first."""
        self.on_room: list[Callable[[str], None]] = []
        """Each is called with an address that has one guest less."""
        self._proxies = proxies
        self._guests: dict[Connection, None] = {}
        self._of_address: Counter[str] = Counter()

    def has_room(self) -> bool:
        """Whether one more can be accepted now. Sends the longest waiting guest away for it, if need be."""
        if len(self._guests) < self.limits.guests and self.counts.total() < self.limits.all:
            return True
        return self._send_away("", "no room")

    def address_of(self, peer: str) -> str:
        """What a peer counts under; empty: a trusted proxy.

        Args:
            peer: the address at the other end; empty for a Unix socket.
        """
        return "" if self._proxies.trusts(peer) else bucket_of(peer) or "unix"

    def trusts(self, peer: str) -> bool:
        """Whether a peer is one of the trusted proxies."""
        return self._proxies.trusts(peer)

    def move(self, connection: Connection, client: str) -> None:
        """Counts a guest under the client for whom a proxy speaks.

        Raises:
            ValueError: the client has as many connections as one address may.
        """
        address = self.address_of(client)
        if connection.closed or address == connection.address:
            return
        many = bool(address) and self._of_address[address] >= self.limits.guests_an_address
        if many and not self._send_away(address, "one address's share"):
            self.cut["one address's share"] += 1
            raise ValueError("its client has too many connections")
        self._leave_address(connection)
        connection.address = address
        self._of_address[address] += 1

    def opened(self, address: str, cut: Callable[[], None], *, push: bool = True) -> Connection | None:
        """A new guest; None when its address has too many that are too young to be sent away.

        Args:
            address: as :meth:`address_of` gives it.
            cut: ends the connection.
            push: whether another one of the address may be sent away for it.
        """
        many = bool(address) and self._of_address[address] >= self.limits.guests_an_address
        if many and not (push and self._send_away(address, "one address's share")):
            return None
        connection = Connection(self, address, cut, self.now())
        self._guests[connection] = None
        self._of_address[address] += 1
        self.counts[Who.GUEST] += 1
        self.heads[connection] = connection.since
        return connection

    def sweep(self) -> None:
        """Cuts who owes a head for too long, and agents that rest. To be called every second or so."""
        self._cut_older(self.heads, self.limits.head_seconds, "no head")
        self._cut_older(self.idle, self.limits.idle_seconds, "idle")

    def _cut_older(self, since: dict[Connection, float], seconds: float, why: str) -> None:
        latest = self.now() - seconds - 4 * self.lag
        while since:
            connection, began = next(iter(since.items()))
            if began > latest:
                return
            connection.cut(why)
            since.pop(connection, None)

    def known(self, connection: Connection, who: Who) -> None:
        """See :meth:`Connection.admit`."""
        if who is Who.AGENT and self.counts[Who.AGENT] >= self.limits.agents:
            self.cut["too many agents"] += 1
            raise ApiError(503, "as many agents are connected as this mig-api can hold", next_step="start another one")
        self._remove_guest(connection)
        connection.who = who
        self.counts[who] += 1

    def forget(self, connection: Connection) -> None:
        """It has ended."""
        self.heads.pop(connection, None)
        self.idle.pop(connection, None)
        if connection.who is Who.GUEST:
            self._remove_guest(connection)
        else:
            self.counts[connection.who] -= 1

    def _remove_guest(self, connection: Connection) -> None:
        self._guests.pop(connection, None)
        self.counts[Who.GUEST] -= 1
        self._leave_address(connection)
        for call in self.on_room:
            call(connection.address)

    def _leave_address(self, connection: Connection) -> None:
        self._of_address[connection.address] -= 1
        if not self._of_address[connection.address]:
            del self._of_address[connection.address]

    def _send_away(self, address: str, why: str) -> bool:
        """Cuts the guest (of the address, if one is given) that keeps us waiting longest; whether there was one."""
        latest = self.now() - self.limits.grace_seconds - 4 * self.lag
        for guest in self._guests:
            if guest.since > latest:
                return False
            if guest.waiting and (not address or guest.address == address):
                guest.cut(why)
                return True
        return False
