"""Looks into files that passed the filters, and into members of archives: the ``keep`` of ``mig_endpoint.finding``.

A file is read, not mapped: one that is cut off meanwhile would end the process. What is too large to be held is looked
at in pieces, and the rules that cannot be asked so are booked.
"""

from __future__ import annotations

import json
import resource
import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.compressed import Expanded, decompressor_for
from mig_endpoint.files.interruptions import Unreadable
from mig_endpoint.files.opening import is_file, open_file
from mig_endpoint.files.reading import source_of
from mig_yara import archived, reasons, rows
from mig_yara.engine import names_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.archives.member import Member
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.calls import Calls
    from mig_endpoint.files.naming import PathText
    from mig_endpoint.files.reading import Source
    from mig_endpoint.finding.hits import AnyStatus
    from mig_endpoint.finding.slots import Slot
    from mig_yara.engine import Engine, Matched
    from mig_yara.pieces import Pieces

HELD = 192 << 20
"""Bytes of a file that are held at once, at most,"""
SHARE = 3
"""and at most this part of the memory that the process may have. Of what is unpacked, half as many."""
_READ = 4 << 20
_PSEUDO = 1 << 20
"""Bytes asked for at once of a file that says it is empty."""


class Files:
    """Looks into files, one after the other.

    Args:
        engine: scans.
        pieces: makes what scans in pieces; only called if something is too large.
        tally: where what is left out is booked.
        expired: whether time is over.
        held: bytes of a file that are held at once; 0 for what there is room for. For tests.
    """

    def __init__(
        self,
        engine: Engine,
        pieces: Callable[[], Pieces],
        tally: Tally,
        expired: Callable[[], bool],
        *,
        held: int = 0,
    ) -> None:
        self._engine = engine
        self._make_pieces = pieces
        self._pieces: Pieces | None = None
        self._tally = tally
        self._expired = expired
        self._held = held or _room()
        self._told: set[tuple[str, str]] = set()
        self.rows: list[dict[str, JSON]] = []

    def keep(
        self,
        slot: Slot,
        path: str,
        batch: Batch,
        name: str,
        status: AnyStatus,
        sha256: str,
        member: Member | None,
        known: str = "",
    ) -> int | None:
        """Looks inside; see :class:`mig_endpoint.finding.answer.Keep`."""
        if not stat.S_ISREG(status.st_mode) and not (member is None and name in batch.links):
            return None
        where = batch.path_of(name)
        if not slot.search.options.matchall:  # it may pass several filters
            key = (path, member.name if member is not None else "")
            if key in self._told:
                return None
            self._told.add(key)
        if member is not None:
            subject = f"{where}!{member.name}"
            data = archived.content(member, self._tally, subject)
            if data is None:
                return None
            self._engine.name(names_of(member.name))
            self._tally.examined("bytes", len(data))
            matched, size = self._engine.scan(data, subject), member.size
        else:
            self._engine.name(names_of(path))
            matched, size = self._file(slot, batch, name, where)
        return self._told_of(matched, path, member, size, sha256)

    def _told_of(self, matched: list[Matched], path: str, member: Member | None, size: int, sha256: str) -> int | None:
        if not matched:
            return None
        taken = 0
        for one in matched:
            row = rows.of_file(one, path, member.name if member is not None else "", size, sha256)
            self.rows.append(row)
            taken += len(json.dumps(row, ensure_ascii=False)) + 1
        return taken

    def _file(self, slot: Slot, batch: Batch, name: str, where: PathText) -> tuple[list[Matched], int]:
        """What matches in a file, and its size."""
        calls = batch.calls_for(name)
        fd = open_file(name, batch.fd, follow=name in batch.links, calls=calls)
        try:
            status = calls.fstat(fd)
            if not is_file(status):
                self._tally.skip(coverage.ENDLESS if stat.S_ISREG(status.st_mode) else coverage.CHANGED, where)
                return [], 0
            options = slot.search.options
            new = None
            if options.decompress or options.decompressall:
                new = decompressor_for(fd, calls, every_kind=options.decompressall)
            if new is not None:
                return self._streamed(
                    Expanded(fd, status.st_size, self._expired, new, calls=calls), where
                ), status.st_size
            if status.st_size > self._held:
                return self._streamed(source_of(fd, status.st_size, calls), where), status.st_size
            data = _whole(fd, status.st_size, calls)
            self._tally.examined("bytes", len(data))
            after = calls.fstat(fd)
            if (after.st_mtime_ns, after.st_size) != (status.st_mtime_ns, status.st_size):
                self._tally.skip(coverage.CHANGED, where)
            return self._engine.scan(data, where), len(data)
        except Unreadable as unknown:
            self._tally.failed(unknown.reason, where, str(unknown))
            return [], 0
        finally:
            calls.close(fd)

    def _streamed(self, source: Source, where: PathText) -> list[Matched]:
        """Of a content whose length is not known, or too large: as a whole if it can be held after all."""
        view, held = memoryview(bytearray(min(_READ, self._held))), self._held // 2
        begun: list[bytes] = []
        length = 0
        pieces: Pieces | None = None
        while count := source.fill(view):
            self._tally.examined("bytes", count)
            if pieces is None and length + count + source.omitted > held:
                pieces = self._begin_pieces(where)
                at = 0
                for one in begun:
                    pieces.feed(at, one)
                    at += len(one)
                begun = []
            if pieces is not None:
                pieces.feed(length, view[:count])
            else:
                begun.append(bytes(view[:count]))
            length += count
            if source.omitted:
                if pieces is not None:
                    pieces.gap()
                else:
                    begun.append(bytes(source.omitted))
                length += source.omitted
                source.omitted = 0
        return pieces.finish() if pieces is not None else self._engine.scan(b"".join(begun), where)

    def _begin_pieces(self, where: PathText) -> Pieces:
        if self._pieces is None:
            self._pieces = self._make_pieces()
        self._pieces.begin(where)
        self._pieces.book(reasons.TOO_LARGE, where)
        return self._pieces


def _room() -> int:
    """How many bytes of a file there is room for."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return HELD if limit == resource.RLIM_INFINITY else min(HELD, limit // SHARE)


def _whole(fd: int, size: int, calls: Calls) -> bytes:
    """All of a file; a pseudo-file says that it is empty.

    Raises:
        Unreadable: it goes on and on.
        OSError: it cannot be read.
    """
    if size:
        data = calls.pread(fd, size, 0)
        if len(data) == size:
            return data
        parts, length = [data], len(data)
        while length < size and (part := calls.pread(fd, size - length, length)):
            parts.append(part)
            length += len(part)
        return b"".join(parts)
    parts, length = [], 0
    while part := calls.pread(fd, _PSEUDO, length):
        parts.append(part)
        length += len(part)
        if length > HELD:
            raise Unreadable(coverage.ENDLESS, f"says it is empty and gave more than {HELD} bytes")
    return b"".join(parts)
