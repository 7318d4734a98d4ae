"""Compressed files as a stream of what is in them, bounded in memory and in size.

Recognised by their first bytes, never by name; several members count as one stream, one level is opened. Zeros behind a
member are padding: tapes and block devices leave them (gzip(1), bzip2(1)), and xz has its own between streams (The .xz
File Format 1.2.1, section 2.2). gzip: RFC 1952. zstd: RFC 8878; skippable frames may come first, as pzstd writes them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from mig_endpoint import coverage
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.interruptions import DeadlinePassed, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_endpoint.files.calls import Calls

INPUT_SIZE = 128 << 10
MIN_EXPANDED_BOUND = 1 << 30
"""A file may always expand to this many bytes,"""
EXPANSION_BOUND = 100
"""or to this many times its size on disk, if that is more."""
XZ_MEMORY = 36 << 20
"""What an xz stream may need in memory, in bytes: presets up to 7, and 8 with small files."""
ZSTD_WINDOW = 25
"""Logarithm of the window that a zstd frame may need: 32 MiB; levels up to 19 have 8 MiB, ``--ultra -22`` has 128."""
MAX_SKIPPED_FRAMES = 10_000
"""Skippable frames that are gone over in search of the first one with content."""


class Decompressor(Protocol):
    """What the standard library's bzip2, xz and zstd decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of a member was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether there can be no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        """At most ``max_length`` bytes of output."""


class _Gzip:
    """zlib's decompressor with the manners of the others."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)
        self._failure = zlib.error
        self._was_full = False  # zlib may hold more output than there was room for, with no input left

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._was_full

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            output = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        except self._failure as error:
            raise OSError(str(error)) from None
        self._was_full = len(output) == max_length
        return output


def _bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


def _zstd() -> Decompressor:
    zstd: Any
    try:
        zstd = import_module("compression.zstd")  # from Python 3.14 on
    except ImportError:
        try:
            zstd = import_module("backports.zstd")
        except ImportError:
            problem = "zstd needs Python 3.14 or the package backports.zstd (pip install 'mig-endpoint[zstd]')"
            raise Unreadable(coverage.NO_DECOMPRESSOR, problem) from None
    options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW}
    decompressor: Decompressor = zstd.ZstdDecompressor(options=options)
    return decompressor


_HEAD = 8
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERS: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\x00", _xz),
    (_ZSTD, _zstd),
)


def _is_skippable(head: bytes) -> bool:
    """Whether a frame without content begins here (RFC 8878, section 3.1.2)."""
    return len(head) >= 8 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18"


def _leads_to_zstd(fd: int, head: bytes, calls: Calls) -> bool:
    """Whether the skippable frames that the file begins with are zstd's: LZ4 has the same ones."""
    position = 0
    for _ in range(MAX_SKIPPED_FRAMES):
        if not _is_skippable(head):
            return head.startswith(_ZSTD)
        position += 8 + int.from_bytes(head[4:8], "little")
        head = calls.pread(fd, _HEAD, position)
    return False


def decompressor_for(fd: int, calls: Calls, *, every_kind: bool) -> Callable[[], Decompressor] | None:
    """What makes a decompressor for an open file; None if it is not compressed.

    Args:
        fd: open for reading; its position stays.
        calls: who asks the operating system.
        every_kind: also bzip2, xz and zstd, not only gzip.

    Raises:
        OSError: the file cannot be read.
    """
    head = calls.pread(fd, _HEAD, 0)
    if head.startswith(_GZIP):
        return _Gzip
    if not every_kind:
        return None
    if _is_skippable(head) and _leads_to_zstd(fd, head, calls):
        return _zstd
    return next((new for magic, new in _OTHERS if head.startswith(magic)), None)


class Expanded:
    """The content of an open file that is compressed."""

    def __init__(
        self,
        fd: int,
        size: int,
        expired: Callable[[], bool],
        new: Callable[[], Decompressor],
        *,
        calls: Calls = DIRECT,
        minimum_bound: int = MIN_EXPANDED_BOUND,
    ) -> None:
        """Makes a decompressor.

        Args:
            fd: open for reading, at its beginning.
            size: of the file on disk, in bytes.
            expired: whether time is over; asked at each read, because much input may give no output at all.
            new: what :func:`decompressor_for` gave.
            calls: who asks the operating system.
            minimum_bound: bytes of output that are always allowed.

        Raises:
            Unreadable: this Python cannot.
        """
        self._fd = fd
        self._expired = expired
        self._calls = calls
        self.consumed = 0
        """Bytes read from disk so far."""
        self.omitted = 0
        """Nothing is left out."""
        self._bound = max(minimum_bound, EXPANSION_BOUND * size)
        self._made = 0
        self._new = new
        self._input = b""
        self._inner = new()

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes of content into ``view``; 0 at the end.

        Raises:
            Unreadable: damaged, cut off, followed by something else, too large.
            DeadlinePassed: time ran out.
            OSError: the file cannot be read.
        """
        while True:
            if self._inner.eof:
                rest = self._behind_padding(self._inner.unused_data)
                if not rest:
                    return 0
                self._inner, self._input = self._new(), rest
            if self._inner.needs_input and not self._input:
                self._input = self._more()
                if not self._input:
                    raise Unreadable(coverage.DAMAGED, "compressed data ends too early")
            output = self._expand(self._inner, len(view))
            if output:
                self._made += len(output)
                if self._made > self._bound:
                    raise Unreadable(coverage.TOO_LARGE, f"compressed data expands to more than {self._bound} bytes")
                view[: len(output)] = output
                return len(output)

    def _behind_padding(self, rest: bytes) -> bytes:
        """What follows the end of a member, zeros aside; empty at the end of the file."""
        while True:
            rest = rest.lstrip(b"\0")
            if rest:
                return rest
            rest = self._more()
            if not rest:
                return b""

    def _expand(self, inner: Decompressor, room: int) -> bytes:
        data, self._input = self._input, b""
        try:
            return inner.decompress(data, room)
        except (OSError, EOFError, ValueError) as error:
            raise Unreadable(coverage.DAMAGED, f"compressed data is damaged: {error}") from None
        except Exception as error:
            if type(error).__name__ not in ("LZMAError", "ZstdError"):  # importing them only for their names costs time
                raise
            if "memory" in str(error).casefold():
                raise Unreadable(coverage.NEEDS_MEMORY, f"compressed data needs too much memory: {error}") from None
            raise Unreadable(coverage.DAMAGED, f"compressed data is damaged: {error}") from None

    def _more(self) -> bytes:
        if self._expired():
            raise DeadlinePassed
        data = self._calls.read(self._fd, INPUT_SIZE)
        self.consumed += len(data)
        return data
