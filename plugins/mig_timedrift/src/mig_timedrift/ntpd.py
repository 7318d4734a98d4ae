"""What a running ntpd (the reference one, or NTPsec) says of the clock: its system variables, by a control message.

It is what ``ntpq -c rv`` asks, on loopback; ntpd does nothing but answer. Source: RFC 9327, and what NTPsec 1.2.2
answered.
"""

from __future__ import annotations

import math
import socket
import struct
from typing import TYPE_CHECKING

from mig_timedrift.reading import LEAPS, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PORT = 123
LIMIT = 1.0
_HEADER = struct.Struct("!BBHHHHH")
_CONTROL = 0x16
"""Leap 0, version 2, mode 6."""
_READ_VARIABLES = 2
_IS_ANSWER, _IS_ERROR = 0x80, 0x40
_SEQUENCE = 1
_ASKED = b"stratum,offset,refid,rootdelay,rootdisp"
_PADDED = _ASKED.ljust(-(-len(_ASKED) // 4) * 4, b"\0")
"""NTPsec refuses a message that is not a multiple of four bytes long."""
_UNSYNCHRONIZED = 3


class NotUnderstood(Exception):
    """Something holds the port, and does not answer as ntpd does; it may have been told not to."""


def reading(addresses: Iterable[str] = ("127.0.0.1", "::1"), port: int = PORT, limit: float = LIMIT) -> Reading | None:
    """What ntpd says; None if nobody holds the port.

    Raises:
        NotUnderstood: somebody does and does not answer.
    """
    silent = False
    for address in addresses:
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as connection:
                connection.settimeout(limit)
                connection.connect((address, port))
                connection.send(_HEADER.pack(_CONTROL, _READ_VARIABLES, _SEQUENCE, 0, 0, 0, len(_ASKED)) + _PADDED)
                answer = connection.recv(2048)
        except TimeoutError:
            silent = True
            continue
        except OSError:
            continue
        return _read(answer)
    if silent:
        raise NotUnderstood("no answer to a control message")
    return None


def _read(answer: bytes) -> Reading:
    if len(answer) < _HEADER.size:
        raise NotUnderstood(f"{len(answer)} bytes are no answer")
    first, operation, sequence, status, _, _, count = _HEADER.unpack(answer[: _HEADER.size])
    if first & 7 != _CONTROL & 7 or not operation & _IS_ANSWER or sequence != _SEQUENCE:
        raise NotUnderstood("no answer to a control message")
    if operation & _IS_ERROR:
        raise NotUnderstood("it refuses to tell")
    text = answer[_HEADER.size : _HEADER.size + count].decode("ascii", "replace")
    pairs = (pair.partition("=") for pair in text.replace("\r\n", " ").split(","))
    said = {name.strip(): value.strip().strip('"') for name, _, value in pairs}
    try:
        return _understand(status >> 14, said)
    except (KeyError, ValueError) as error:
        raise NotUnderstood(f"variables that are no numbers: {error}") from None


def _understand(leap: int, said: Mapping[str, str]) -> Reading:
    """The variable ``leap`` is binary in ntpd and decimal in NTPsec; the message's status word has it in both."""
    stratum = int(said["stratum"])
    synchronized = leap < _UNSYNCHRONIZED and 0 < stratum < 16
    return Reading(
        source="ntpd",
        server=said.get("refid", ""),
        synchronized=synchronized,
        stratum=stratum,
        leap=LEAPS[leap],
        offset=_number(said["offset"]) / 1000 if synchronized else None,
        error=(_number(said["rootdelay"]) / 2 + _number(said["rootdisp"])) / 1000 if synchronized else None,
        usable=synchronized,
        problem="" if synchronized else "is not synchronized",
    )


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.20} is no number")
    return number
