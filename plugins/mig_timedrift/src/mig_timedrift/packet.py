"""NTP packets: what is asked, and what an answer says. Sources: RFC 5905 (7.3, 7.4, 8), RFC 4330 (5, 8), RFC 9109.

The question carries a random number where the sender's time would stand: an answer must repeat it, and nobody is told
this endpoint's idea of the time. Pure: bytes and times in, a :class:`Reading` out.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from mig_timedrift.reading import LEAPS, SERVER, Reading

SIZE = 48
_PACKET = struct.Struct("!BBbbII4s8s8sQQ")
_CLIENT = 0x23
"""Leap 0, version 4, mode 3."""
_SERVER_MODE = 4
_UNSYNCHRONIZED = 3
_MAX_STRATUM = 15
MAX_DISTANCE = 16.0
"""Seconds: a server that may itself be off by as much is not synchronized (MAXDISP)."""
_TO_1970 = 2_208_988_800
_PIVOT = 1_577_836_800
"""2020: no time told is before, so that the era of a timestamp is known until 2156 whatever the local clock says."""


class Sent(NamedTuple):
    """A question on its way."""

    cookie: bytes
    clock: float
    """The endpoint's clock when it was sent, seconds since 1970."""
    began: float
    """The same by a clock that nobody sets (``time.monotonic()``)."""


def question(cookie: bytes) -> bytes:
    """A client's packet; ``cookie`` are eight random bytes."""
    return bytes([_CLIENT]) + bytes(SIZE - 9) + cookie


def belongs_to(packet: bytes, sent: list[Sent]) -> Sent | None:
    """The question that a packet answers, if any of these."""
    origin = packet[24:32]
    return next((one for one in sent if len(packet) >= SIZE and one.cookie == origin), None)


def read(packet: bytes, sent: Sent, came: float, server: str, address: str) -> Reading:
    """What an answer says; its ``problem`` says why it does not count, if it does not.

    Args:
        packet: at least :data:`SIZE` bytes, of which the first are looked at.
        sent: the question.
        came: ``time.monotonic()`` when it was received.
        server: as it was asked for.
        address: that answered.
    """
    first, stratum, _, _, delay, dispersion, reference, _, _, received, transmitted = _PACKET.unpack(packet[:SIZE])
    leap, mode = first >> 6, first & 7
    distance = delay / 0x20000 + dispersion / 0x10000
    reading = Reading(source=SERVER, server=server, address=address, stratum=stratum, leap=LEAPS[leap])
    if mode != _SERVER_MODE:
        reading.problem = f"answers in mode {mode} instead of as a server"
    elif stratum == 0:
        reading.problem = f"refuses: kiss of death {_code(reference)}"
    elif leap == _UNSYNCHRONIZED or stratum > _MAX_STRATUM:
        reading.synchronized = False
        reading.problem = "is not synchronized itself"
    elif not transmitted or not received:
        reading.problem = "tells no time"
    elif distance >= MAX_DISTANCE:
        reading.synchronized = False
        reading.problem = f"may be off by {distance:.0f}s by its own word"
    else:
        _reckon(reading, seconds_of(received), seconds_of(transmitted), sent.clock, came - sent.began, distance)
    return reading


def _reckon(reading: Reading, received: float, transmitted: float, asked: float, took: float, distance: float) -> None:
    """Offset and round trip, RFC 5905 section 8."""
    reading.synchronized = True
    round_trip = took - (transmitted - received)
    reading.offset = ((received - asked) + (transmitted - (asked + took))) / 2
    reading.told = transmitted
    if not -0.001 <= round_trip <= took + 0.001:
        reading.problem = "claims to have held the question longer than it was away, or less than no time"
        reading.offset = None
        return
    reading.round_trip = max(0.0, round_trip)
    reading.error = reading.round_trip / 2 + distance
    reading.usable = True


def seconds_of(timestamp: int) -> float:
    """An NTP timestamp as seconds since 1970, in the era that begins after :data:`_PIVOT`."""
    seconds = (timestamp >> 32) - _TO_1970
    seconds -= (seconds - _PIVOT) // (1 << 32) * (1 << 32)
    return seconds + (timestamp & 0xFFFFFFFF) / (1 << 32)


def _code(reference: bytes) -> str:
    """A kiss code: four characters of ASCII."""
    text = reference.rstrip(b"\0").decode("ascii", "replace")
    return text if text.isalnum() else "without a code"
