"""The addresses of a name as this endpoint resolves it, within a time limit. Source: getaddrinfo(3).

The C library's resolver knows no limit but that of ``/etc/resolv.conf``, which may add up to minutes. So it is asked in
a thread of its own; one that has not come back in time is left behind and ends with the operation's process.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any, NamedTuple

MAX_NAME = 253
"""Characters of a name, RFC 1035."""


class Address(NamedTuple):
    """One address that a name stands for."""

    family: int
    """``AF_INET`` or ``AF_INET6``."""
    text: str
    """As people write it; with a zone where it has one: ``fe80::1%eth0``."""
    end: tuple[str, int] | tuple[str, int, int, int]
    """What a socket is connected to."""


class NotResolved(Exception):
    """The name could not be resolved; the text says why."""


def check_destination(text: str) -> None:
    """Whether it may be a name or an address. Pure: nobody is asked.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not text:
        raise ValueError("must be a name or an address, got nothing")
    if len(text) > MAX_NAME:
        raise ValueError(f"must have at most {MAX_NAME} characters, got {len(text)}")
    if not text.isprintable() or any(sign.isspace() or sign in "/\\\"'[]@" for sign in text):
        raise ValueError(f"{text!r:.80} is neither a name nor an address")


class Resolution:
    """A name that is being resolved from now on; several may be at once.

    Args:
        name: or an address.
        port: of the ends.
    """

    def __init__(self, name: str, port: int) -> None:
        self._answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()
        threading.Thread(target=_ask, args=(name, port, self._answers), name="resolve", daemon=True).start()

    def addresses(self, limit: float) -> list[Address]:
        """Every address, each once, in the order in which the endpoint prefers them. To be asked for once.

        Args:
            limit: seconds to wait for them.

        Raises:
            NotResolved: it has none, nobody knows, or the time ran out.
        """
        try:
            answer = self._answers.get(timeout=max(limit, 0.001))
        except queue.Empty:
            raise NotResolved("no answer from the resolver in time") from None
        if isinstance(answer, OSError):
            raise NotResolved((answer.strerror or str(answer)).lower()) from answer
        if isinstance(answer, Exception):  # UnicodeError: a label that is empty or too long
            raise NotResolved("not a name that can be resolved") from answer
        if not answer:
            raise NotResolved("has no address")
        return answer


def resolve(name: str, port: int, limit: float) -> list[Address]:
    """The addresses of one name: see :class:`Resolution`.

    Raises:
        NotResolved: as there.
    """
    return Resolution(name, port).addresses(limit)


def _ask(name: str, port: int, answers: queue.SimpleQueue[list[Address] | Exception]) -> None:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError) as error:
        answers.put(error)
        return
    answers.put(list(dict.fromkeys(_address(family, end) for family, _, _, _, end in found)))


def _address(family: int, end: tuple[Any, ...]) -> Address:
    return Address(family, str(end[0]), end)
