"""Servers are asked all at once, each address by a socket of its own, and once more where nothing came at first."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from typing import TYPE_CHECKING

from mig_timedrift import packet
from mig_timedrift.reading import SERVER, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_endpoint.resolving import Address
    from mig_timedrift.packet import Sent

LIMIT = 5.0
"""Seconds to wait for answers."""
AGAIN = 2.0
"""Seconds after which whoever was silent is asked once more: a datagram may be lost."""
_LARGEST = 2048
_LATE = 512
"""Looks after the limit: what sockets may hold that came in time, when this process got no turn until now."""


class Question:
    """What one address is asked and has answered."""

    def __init__(self, server: str, address: Address) -> None:
        self.server, self.address = server, address
        self.reading: Reading | None = None
        self.socket: socket.socket | None = None
        self._sent: list[Sent] = []
        self._strangers = 0

    def open(self) -> None:
        """Connects the socket, so that only this address can answer, and asks."""
        try:
            self.socket = socket.socket(self.address.family, socket.SOCK_DGRAM)
            self.socket.setblocking(False)
            self.socket.connect(self.address.end)
        except OSError as error:
            self.fail(error)
            return
        self.ask()

    def ask(self) -> None:
        """Sends a question, with a number of its own."""
        assert self.socket is not None
        cookie = secrets.token_bytes(8)
        try:
            self._sent.append(packet.Sent(cookie, time.time(), time.monotonic()))
            self.socket.send(packet.question(cookie))
        except OSError as error:
            self.fail(error)

    def receive(self) -> None:
        """Takes what came; what answers no question of ours is passed over."""
        assert self.socket is not None
        try:
            came = self.socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error)
            return
        now = time.monotonic()
        sent = packet.belongs_to(came, self._sent)
        if sent is None:
            self._strangers += 1
            return
        self.reading = packet.read(came, sent, now, self.server, self.address.text)

    def fail(self, error: OSError) -> None:
        """Nobody will answer."""
        self._end(f"did not answer: {os.strerror(error.errno or 0).lower()}")

    def give_up(self, waited: float) -> None:
        """The time is up."""
        strange = f"; {self._strangers} answers were to no question of ours" if self._strangers else ""
        self._end(f"did not answer within {waited:.3g}s{strange}")

    def _end(self, problem: str) -> None:
        self.reading = Reading(source=SERVER, server=self.server, address=self.address.text, problem=problem)

    def close(self) -> None:
        """Closes the socket."""
        if self.socket is not None:
            self.socket.close()


def ask(servers: Iterable[tuple[str, Address]], limit: float = LIMIT) -> list[Reading]:
    """What every address answers, in the order given.

    Args:
        servers: names as they were asked for, and addresses with ports.
        limit: seconds to wait.
    """
    questions = [Question(server, address) for server, address in servers]
    started = time.monotonic()
    try:
        for one in questions:
            one.open()
        _wait(questions, started, min(AGAIN, limit))
        for one in questions:
            if one.reading is None and limit > AGAIN:
                one.ask()
        _wait(questions, started, limit)
        for one in questions:
            if one.reading is None:
                one.give_up(limit)
        return [one.reading for one in questions if one.reading is not None]
    finally:
        for one in questions:
            one.close()


def _wait(questions: list[Question], started: float, limit: float) -> None:
    poll = select.poll()
    waiting: dict[int, Question] = {}
    for one in questions:
        if one.reading is None and one.socket is not None:
            waiting[one.socket.fileno()] = one
            poll.register(one.socket, select.POLLIN)
    late = 0
    while waiting and late < _LATE:
        left = max(0.0, started + limit - time.monotonic())
        late += not left
        arrived = poll.poll(left * 1000)
        if not arrived:
            break
        for number, _ in arrived:
            one = waiting[number]
            one.receive()
            if one.reading is not None:
                poll.unregister(number)
                del waiting[number]
