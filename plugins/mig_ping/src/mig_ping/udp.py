"""One try by UDP: a small datagram is sent, whatever comes back from there is an answer. Source: udp(7).

Most services do not answer what they do not understand: silence proves nothing, an ICMP refusal does.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

from mig_ping.outcome import Outcome, State, answered, failure, nothing

if TYPE_CHECKING:
    from mig_endpoint.resolving import Address

DATAGRAM = b"MIG ping\n"


def attempt(address: Address, limit: float) -> Outcome:
    """Sends a datagram to the address and waits for one from there.

    Args:
        address: with the port.
        limit: seconds.
    """
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.connect(address.end)
            started = time.monotonic()
            connection.send(DATAGRAM)
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            if not poll.poll(limit * 1000):
                return nothing(limit, State.SILENT)
            took = time.monotonic() - started
            connection.recv(1)
            return answered(took)
    except OSError as error:
        return failure(error)
