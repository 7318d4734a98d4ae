"""One try by TCP: a connection is opened and closed, nothing is sent. Source: connect(2), tcp(7)."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING

from mig_ping.outcome import Outcome, State, answered, failure, nothing

if TYPE_CHECKING:
    from mig_endpoint.resolving import Address


def attempt(address: Address, limit: float) -> Outcome:
    """Connects to the address.

    Args:
        address: with the port.
        limit: seconds.
    """
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            started = time.monotonic()
            number = connection.connect_ex(address.end)
            if number == errno.EINPROGRESS:
                poll = select.poll()
                poll.register(connection, select.POLLOUT)
                if not poll.poll(limit * 1000):
                    return nothing(limit)
                number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            took = time.monotonic() - started
            if number:
                return failure(OSError(number, ""))
            if connection.getsockname() == connection.getpeername():  # nobody listens: it met itself, RFC 9293 3.5
                return Outcome(State.REFUSED, problem="connection refused")
            return answered(took)
    except OSError as error:
        return failure(error)
