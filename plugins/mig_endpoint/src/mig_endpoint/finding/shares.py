"""What the processes of a run say to each other: a share of files goes to a worker, what it saw comes back.

A message is four bytes for its length (big endian), then its body: of a report JSON; of a share the slots and names of
each part with NULs between them, as no name has one, and two NULs between parts; it also carries the descriptors of its
directories. Both ends are this program, one forked from the other. A share is so small that it always fits into the
socket's buffer: its sender never waits for a worker that waits for it. Used by ``workers``.
"""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from mig_core.plugin.coverage import Reason
from mig_endpoint.files.opening import Status
from mig_endpoint.finding.reader import Reading

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mig_endpoint.finding.content import Question

MOST_FILES = 96
MOST_CHARACTERS = 8 << 10
"""Of names in a share; one takes four bytes at most."""
MOST_DIRECTORIES = 96
"""The kernel passes at most 253 descriptors at once (SCM_MAX_FD)."""
_LENGTH = struct.Struct(">I")


class Part(NamedTuple):
    """Files of one directory that are read for the same slots."""

    directory: int
    """Its descriptor."""
    slots: tuple[int, ...]
    """Their numbers."""
    names: list[str]


class Seen(NamedTuple):
    """A file that has to be judged: the others of a share were read and cannot pass."""

    place: tuple[int, int]
    """Of the part in its share, and of the name in the part."""
    status: Status
    reading: Reading


class Report(NamedTuple):
    """What became of a share."""

    bytes: int = 0
    """Read from disk."""
    seen: Sequence[Seen] = ()
    failed: Sequence[tuple[tuple[int, int], int]] = ()
    """Files that could not be opened: place and errno."""
    late: tuple[int, int] | None = None
    """The file at which time ran out; the files after it were not looked at."""


def send_share(connection: socket.socket, share: Sequence[Part]) -> None:
    """Gives a share to a worker.

    Raises:
        OSError: it is gone.
    """
    from socket import send_fds  # only where there are workers

    texts = ["\0".join([",".join(map(str, part.slots)), *part.names]) for part in share]
    body = os.fsencode("\0\0".join(texts))
    send_fds(connection, [_LENGTH.pack(len(body))], [part.directory for part in share])
    connection.sendall(body)


def receive_share(connection: socket.socket) -> list[Part] | None:
    """Takes a share, whose descriptors are then the caller's to close; None when there will be no more."""
    from socket import recv_fds  # see send_share

    head, directories, _, _ = recv_fds(connection, _LENGTH.size, MOST_DIRECTORIES)
    body = _receive(connection, head)
    if body is None:
        return None
    parts = []
    for directory, text in zip(directories, os.fsdecode(body).split("\0\0"), strict=True):
        slots, *names = text.split("\0")
        parts.append(Part(directory, tuple(map(int, slots.split(","))), names))
    return parts


def send_report(connection: socket.socket, report: Report, numbers: dict[Question, int]) -> None:
    """Says what became of a share. ``numbers``: the questions', the same on both sides."""
    seen = [
        (
            one.place,
            one.status,
            [numbers[question] for question in one.reading.found],
            [numbers[question] for question in one.reading.doubtful],
            one.reading.digests,
            _problem_as_json(one.reading.problem),
        )
        for one in report.seen
    ]
    body = json.dumps((report.bytes, seen, report.failed, report.late)).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_report(connection: socket.socket, questions: Sequence[Question]) -> Report | None:
    """What became of the eldest share; None when the worker is gone. ``questions``: by their numbers."""
    try:
        body = _receive(connection, b"")
    except ConnectionError:  # it died with a share unread
        return None
    if body is None:
        return None
    count, seen, failed, late = json.loads(body)
    return Report(
        count,
        [
            Seen(
                tuple(place),
                Status(*status),
                Reading(
                    {questions[number] for number in found},
                    {questions[number] for number in doubtful},
                    digests,
                    _problem_from_json(problem),
                ),
            )
            for place, status, found, doubtful, digests, problem in seen
        ],
        [(tuple(place), number) for place, number in failed],
        tuple(late) if late else None,
    )


def _problem_as_json(problem: tuple[Reason, str] | None) -> tuple[str, bool, str] | None:
    return (problem[0].text, problem[0].as_asked, problem[1]) if problem else None


def _problem_from_json(problem: tuple[str, bool, str] | None) -> tuple[Reason, str] | None:
    return (Reason(*problem[:2]), problem[2]) if problem else None


def _receive(connection: socket.socket, head: bytes) -> bytes | None:
    """The body of a message of whose length ``head`` is what has been read; None at the end."""
    rest = _exactly(connection, _LENGTH.size - len(head))
    if rest is None:
        return None
    return _exactly(connection, *_LENGTH.unpack(head + rest))


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    parts = []
    while length:
        part = connection.recv(length)
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
