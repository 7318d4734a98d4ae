"""All members of an archive, and of the archives packed in it.

An archive is known by what is in it, whatever its name; one that lies in another only if its name says so, because
every member would have to be unpacked otherwise. A member of an inner archive is named ``inner.jar!path``.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint.files.archives.blob import AnyBlob, BlobCalls, FileBlob, MemoryBlob
from mig_endpoint.files.archives.member import DamagedArchive, Member
from mig_endpoint.files.archives.tarfiles import BLOCK, is_tar, tar_members
from mig_endpoint.files.archives.zipfiles import DEFLATED, STORED, list_of_members, zip_members
from mig_endpoint.files.compressed import Expanded, decompressor_for
from mig_endpoint.files.interruptions import DeadlinePassed, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH = 4
"""Archives in archives."""
MAX_MEMBERS = 1_000_000
"""Of one file, with those of inner archives."""
MAX_HELD = 24 << 20
"""Bytes of inner archives that have to be unpacked into memory, at a time; those that are only stored do not."""
BETWEEN_LOOKS_AT_THE_CLOCK = 256
DAMAGED = Reason("damaged archive")
TOO_MANY = Reason("archive with too many members")
TOO_DEEP = Reason("archive in too many others")
TOO_LARGE = Reason("archive in another that is too large to be held")
NOT_UNPACKED = Reason("archive in another, encrypted or packed in a way that is not known")


class Members:
    """Goes through archives. Not to be shared between threads."""

    def __init__(
        self, expired: Callable[[], bool], skip: Callable[[Reason, str], None], *, every_place: bool = False
    ) -> None:
        """Makes it ready.

        Args:
            expired: whether time is over.
            skip: books what is left out: why, and which inner archive (empty: the file itself).
            every_place: say of each member where it lies, and not only of archives; then each is to be done with before
                the next is asked for.
        """
        self._every_place = every_place
        self._expired = expired
        self._skip = skip
        self._count = 0
        self._held = 0
        """Bytes of inner archives in memory."""

    def of_file(self, blob: FileBlob) -> Iterator[Member]:
        """The members of a file; nothing if it is no archive.

        Raises:
            DeadlinePassed: time ran out.
            OSError: the file cannot be read.
        """
        self._count = self._held = 0
        yield from self._of(blob, "", 1)

    def _of(self, blob: AnyBlob, path: str, depth: int) -> Iterator[Member]:
        """The members of what may be an archive. ``path``: of an inner one, with ``!`` at its end."""
        try:
            for member in self._plain(blob):
                self._count += 1
                if self._count > MAX_MEMBERS:
                    self._skip(TOO_MANY, path[:-1])
                    return
                if self._count % BETWEEN_LOOKS_AT_THE_CLOCK == 0 and self._expired():
                    raise DeadlinePassed
                inner = member._replace(name=path + member.name)
                yield inner
                if member.is_archive and member.size:
                    yield from self._inside(inner, depth)
        except DamagedArchive:
            self._skip(DAMAGED, path[:-1])
        except Unreadable as failure:
            self._skip(failure.reason, path[:-1])

    def _plain(self, blob: AnyBlob) -> Iterator[Member]:
        """The members of this archive alone."""
        # a tar file first: a jar that is its last member looks like a zip file with something before it
        if is_tar(blob.read(0, BLOCK)):
            yield from tar_members(_Lying(blob), every_place=self._every_place)
            return
        if list_of_members(blob) is not None:
            yield from zip_members(blob, every_place=self._every_place)
            return
        calls = BlobCalls(blob)
        new = decompressor_for(-1, calls, every_kind=True)
        if new is not None:
            stream = _Unpacked(Expanded(-1, blob.size, self._expired, new, calls=calls))
            if is_tar(stream.peek(BLOCK)):
                yield from tar_members(stream, every_place=self._every_place)

    def _inside(self, member: Member, depth: int) -> Iterator[Member]:
        """The members of an inner archive."""
        place = member.place
        if depth >= MAX_DEPTH:
            self._skip(TOO_DEEP, member.name)
        elif place is None or member.method not in (STORED, DEFLATED):
            self._skip(TOO_LARGE if member.size > MAX_HELD else NOT_UNPACKED, member.name)
        elif member.method == STORED:
            yield from self._of(place, f"{member.name}!", depth + 1)
        else:
            room = MAX_HELD - self._held
            try:
                data = zlib.decompressobj(wbits=-15).decompress(place.read(0, place.size), room + 1)
            except zlib.error:
                self._skip(DAMAGED, member.name)
                return
            if len(data) > room:
                self._skip(TOO_LARGE, member.name)
                return
            self._held += len(data)
            yield from self._of(MemoryBlob(data), f"{member.name}!", depth + 1)
            self._held -= len(data)


class _Lying:
    """A tar file as it lies there."""

    def __init__(self, blob: AnyBlob) -> None:
        self._blob = blob
        self._position = 0

    def read(self, length: int) -> bytes:
        data = self._blob.read(self._position, length)
        self._position += len(data)
        return data

    def skip(self, length: int) -> None:
        self._position += length

    def place(self, length: int) -> AnyBlob | None:
        return self._blob.part(self._position, length)


class _Unpacked:
    """A tar file that is compressed."""

    def __init__(self, source: Expanded) -> None:
        self._source = source
        self._data = bytearray()
        self._buffer = memoryview(bytearray(128 << 10))

    def peek(self, length: int) -> bytes:
        """The next bytes, which stay to be read."""
        while len(self._data) < length:
            count = self._source.fill(self._buffer)
            if not count:
                break
            self._data += self._buffer[:count]
        return bytes(self._data[:length])

    def read(self, length: int) -> bytes:
        data = self.peek(length)
        del self._data[: len(data)]
        return data

    def skip(self, length: int) -> None:
        while length > len(self._data):
            length -= len(self._data)
            count = self._source.fill(self._buffer)
            self._data[:] = self._buffer[:count]
            if not count:
                return
        del self._data[:length]

    def place(self, length: int) -> AnyBlob | None:
        return MemoryBlob(self.peek(length)) if length <= MAX_HELD else None
