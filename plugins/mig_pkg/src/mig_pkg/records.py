"""Reading databases made of records with an empty line between them (dpkg's, apk's), however large a record is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.packages.site import Site

_ASK_CLOCK = 256
MAX_RECORD = 1 << 19
"""Bytes of a record that are looked at; name and version stand at its beginning."""


def records_of(site: Site, database: str, limit: int) -> Iterator[bytes]:
    """The records of a database of at most ``limit`` bytes; what of it cannot be read is booked.

    Raises:
        RanOutOfTime: the deadline passed.
    """
    with site.booked(database, f"is larger than {limit} bytes"):
        for place, record in enumerate(records(site.tree.chunks(database, limit))):
            if place % _ASK_CLOCK == 0:
                site.check_time()
            yield record


def lines(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The lines of a text that comes in pieces; one that is longer than a piece is cut to ``limit`` bytes, about."""
    buffer = b""
    for piece in pieces:
        *whole, buffer = (buffer + piece).split(b"\n")
        yield from whole
        buffer = buffer[:limit]
    if buffer:
        yield buffer


def records(chunks: Iterable[bytes], limit: int = MAX_RECORD) -> Iterator[bytes]:
    """The records of a file that comes in pieces; of one that is too long, its first ``limit`` bytes.

    Cut in the middle of its last line, such a record loses that line, unless it has no other.
    """
    buffer = b""
    is_cut = False  # the buffer's record was given already, shortened
    for chunk in chunks:
        *whole, buffer = (buffer + chunk).split(b"\n\n")
        for record in whole:
            if not is_cut:
                yield from _shortened(record, limit)
            is_cut = False
        if is_cut:
            buffer = buffer[-1:]  # it may be the first half of the empty line
        elif len(buffer.strip(b"\n")) > limit:
            yield from _shortened(buffer, limit)
            buffer, is_cut = buffer[-1:], True
    if not is_cut:
        yield from _shortened(buffer, limit)


def _shortened(record: bytes, limit: int) -> Iterator[bytes]:
    record = record.strip(b"\n")
    if len(record) > limit:
        record = (record[:limit].rpartition(b"\n")[0] or record[:limit]).strip(b"\n")
    if record:
        yield record
