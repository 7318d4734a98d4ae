"""What a running chronyd says of the clock: the answer to ``tracking`` of its command protocol, version 6, on loopback.

It is a monitoring request, which anybody on the machine may make and which makes chronyd do nothing but answer.
The other way, its socket in ``/run/chrony``, would need a file made there. Source: chrony's ``candm.h``, and what
chronyd 4.3 answered.
"""

from __future__ import annotations

import secrets
import socket
import struct
from typing import TYPE_CHECKING

from mig_timedrift.reading import LEAPS, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

PORT = 323
LIMIT = 1.0
_SIZE = 104
"""Bytes of question and answer: a question is as long as its answer, so that nobody can be flooded."""
_QUESTION = struct.Struct("!BBBBHHIII")
_ANSWER = struct.Struct("!BBBBHHHHHHIII")
_TRACKING = struct.Struct("!I16sHHHHIII9I")
_VERSION, _IS_QUESTION, _IS_ANSWER = 6, 1, 2
_ASK_TRACKING, _TELL_TRACKING = 33, 5
_UNSYNCHRONIZED = 3


class NotUnderstood(Exception):
    """Something answered, but not as chronyd does."""


def reading(addresses: Iterable[str] = ("127.0.0.1", "::1"), port: int = PORT, limit: float = LIMIT) -> Reading | None:
    """What chronyd says; None if it does not answer there.

    Raises:
        NotUnderstood: who answers speaks another version, or is not chronyd.
    """
    for address in addresses:
        sequence = secrets.randbits(32)
        asked = _QUESTION.pack(_VERSION, _IS_QUESTION, 0, 0, _ASK_TRACKING, 0, sequence, 0, 0)
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as connection:
                connection.settimeout(limit)
                connection.connect((address, port))
                connection.send(asked.ljust(_SIZE, b"\0"))
                answer = connection.recv(2048)
        except OSError:
            continue
        return _read(answer, sequence)
    return None


def _read(answer: bytes, sequence: int) -> Reading:
    if len(answer) < _ANSWER.size:
        raise NotUnderstood(f"{len(answer)} bytes are no answer")
    version, kind, _, _, _, reply, status, _, _, _, number, _, _ = _ANSWER.unpack(answer[: _ANSWER.size])
    if version != _VERSION or kind != _IS_ANSWER or number != sequence:
        raise NotUnderstood(f"version {version} of the command protocol")
    if status or reply != _TELL_TRACKING or len(answer) < _ANSWER.size + _TRACKING.size:
        raise NotUnderstood(f"status {status}, reply {reply}")
    _, raw, family, _, stratum, leap, _, seconds, _, correction, _, _, _, _, _, delay, dispersion, _ = (
        _TRACKING.unpack_from(answer, _ANSWER.size)
    )
    address = ""
    if family in (1, 2):
        address = socket.inet_ntop(*((socket.AF_INET, raw[:4]) if family == 1 else (socket.AF_INET6, raw)))
    synchronized = leap < _UNSYNCHRONIZED and stratum > 0
    return Reading(
        source="chrony",
        address=address,
        synchronized=synchronized,
        stratum=stratum,
        leap=LEAPS[min(leap, _UNSYNCHRONIZED)],
        offset=number_of(correction) if synchronized else None,
        error=number_of(delay) / 2 + number_of(dispersion) if synchronized else None,
        updated=float(seconds) if synchronized else None,
        usable=synchronized,
        problem="" if synchronized else "is not synchronized",
    )


def number_of(word: int) -> float:
    """A number as chrony writes it: 7 bits of exponent and 25 of coefficient, both signed."""
    exponent, coefficient = word >> 25, word & 0x1FFFFFF
    if exponent >= 64:
        exponent -= 128
    if coefficient >= 1 << 24:
        coefficient -= 1 << 25
    return float(coefficient) * 2.0 ** (exponent - 25)
