"""What one try can end with, and the numbers that the original wrote for it."""

from __future__ import annotations

import errno
import os
from enum import Enum
from typing import NamedTuple

REFUSED_LATENCY = -1.0
TIMEOUT_LATENCY = 9_999_999.0
OTHER_LATENCY = 0.0
SHORTEST = 0.001
"""Milliseconds: an answer's latency is never 0, which would mean another failure."""


class State(Enum):
    """How a try, or all tries at one address, ended; the best first."""

    REACHED = "reached"
    SILENT = "silent"
    """UDP alone: nothing came back, neither answer nor refusal."""
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    FAILED = "failed"
    """It could not be tried, for a reason of this endpoint's own."""


class Outcome(NamedTuple):
    """How one try ended."""

    state: State
    milliseconds: float = 0.0
    """Until the answer, if one came."""
    problem: str = ""

    @property
    def latency(self) -> float:
        """The original's number for it: milliseconds, or what it wrote for a failure."""
        return _LATENCIES.get(self.state, self.milliseconds)


_LATENCIES = {
    State.SILENT: TIMEOUT_LATENCY,
    State.TIMEOUT: TIMEOUT_LATENCY,
    State.REFUSED: REFUSED_LATENCY,
    State.UNREACHABLE: REFUSED_LATENCY,
    State.FAILED: OTHER_LATENCY,
}
_REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED)
_UNREACHABLE = (
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.ENONET,
    errno.ENOPROTOOPT,
    errno.EPROTO,
)
"""The last two are what the kernel makes of an ICMP message that says so (``net/ipv4/icmp.c``)."""


def answered(seconds: float) -> Outcome:
    """An answer came."""
    return Outcome(State.REACHED, max(SHORTEST, round(seconds * 1000, 3)))


def nothing(limit: float, state: State = State.TIMEOUT) -> Outcome:
    """Nothing came within the limit, in seconds."""
    return Outcome(state, problem=f"no answer within {limit:g}s")


def failure(error: OSError, said_by: str = "") -> Outcome:
    """What an error of the operating system means for a try.

    Args:
        error: of a socket.
        said_by: the router or host whose ICMP message it came from, if that is known.
    """
    number = error.errno or 0
    problem = (os.strerror(number) if number else str(error)).lower()
    if said_by:
        problem = f"{problem} (said by {said_by})"
    if number in _REFUSALS:
        return Outcome(State.REFUSED, problem=problem)
    if number in _UNREACHABLE:
        return Outcome(State.UNREACHABLE, problem=problem)
    if number == errno.ETIMEDOUT:
        return Outcome(State.TIMEOUT, problem=problem)
    return Outcome(State.FAILED, problem=problem)
