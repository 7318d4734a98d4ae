"""Records of utmp, wtmp and btmp (utmp(5)), of every layout that C libraries write, read from the newest back.

Layouts: bits/utmp.h and bits/types.h of glibc 2.36 (32-bit times even on 64-bit x86), of glibc with ``_TIME_BITS=64``,
of arm64 and musl, as compilers lay them out. A mounted disk may be another machine's, so the file is asked and not the
processor.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

from mig_account.ground import text_of
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN_LEVEL, BOOT, NEW_TIME, OLD_TIME, USER, DEAD = 1, 2, 3, 4, 7, 8
_MOST_TYPE = 9
_SAMPLE = 64
"""Records by which the layout is found out."""
_AT_ONCE = 512
"""Records that are read at a time."""
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800
"""1990 to 2100: where a time is likely."""
NO_LAYOUT = Reason("file of logins whose layout is not known")
_TEXTS = struct.Struct("32s4s32s256s")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a record; type, process and texts are at the same places in all of them."""

    size: int
    time_at: int
    wide: bool
    """64-bit times."""
    order: str = "<"

    @property
    def address_at(self) -> int:
        """Where the remote address lies: behind the time."""
        return self.time_at + (16 if self.wide else 8)

    def time(self, raw: bytes) -> float:
        """Seconds since 1970."""
        seconds, micro = struct.unpack_from(f"{self.order}{'qq' if self.wide else 'ii'}", raw, self.time_at)
        return float(seconds + (micro / 1e6 if 0 <= micro < 1_000_000 else 0))


LAYOUTS = tuple(
    Layout(size, time_at, wide, order)
    for order in "<>"
    for size, time_at, wide in ((384, 340, False), (400, 344, True), (392, 340, True))
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    type: int
    pid: int
    line: str
    user: str
    host: str
    time: float
    address: str

    @property
    def is_boot(self) -> bool:
        """Whether the system started."""
        return self.type == BOOT or (self.line.startswith("~") and self.user == "reboot")

    @property
    def is_shutdown(self) -> bool:
        """Whether the system went down; run levels 0 and 6 say so too."""
        if self.line.startswith("~") and self.user == "shutdown":
            return True
        return self.type == RUN_LEVEL and not self.is_boot and self.pid & 0xFF in (ord("0"), ord("6"))


def layout_of(sample: bytes, size: int) -> Layout | None:
    """The layout by which the records at the beginning of a file make sense; None when none does.

    Args:
        sample: the beginning of the file.
        size: of the whole.
    """
    best, most = None, 0.0
    for layout in LAYOUTS:
        count = min(len(sample) // layout.size, _SAMPLE)
        good = sum(_is_likely(sample[place * layout.size :][: layout.size], layout) for place in range(count))
        likely = good / count + (size % layout.size == 0) if good else 0.0
        if likely > most:
            best, most = layout, likely
    return best


def read_record(raw: bytes, layout: Layout) -> Record:
    """A record. Total."""
    kind, _, pid = struct.unpack_from(f"{layout.order}hhi", raw)
    line, _, user, host = _TEXTS.unpack_from(raw, 8)
    address = raw[layout.address_at : layout.address_at + 16]
    return Record(kind, pid, _text(line), _text(user), _text(host), layout.time(raw), _address(address))


def backwards(pread: Callable[[int, int], bytes], size: int, layout: Layout, most: int) -> Iterator[Record]:
    """The records from the last to the first, at most so many; a part of one at the end is left out.

    Args:
        pread: gives so many bytes from a place on.
        size: of the file.
        layout: of its records.
        most: records to give.
    """
    end = size // layout.size
    first = max(0, end - most)
    while end > first:
        begin = max(first, end - _AT_ONCE)
        block = pread((end - begin) * layout.size, begin * layout.size)
        for place in reversed(range(len(block) // layout.size)):
            yield read_record(block[place * layout.size : (place + 1) * layout.size], layout)
        end = begin


def is_empty(raw: bytes) -> bool:
    """Whether nothing is in a record."""
    return not raw.strip(b"\0")


def _is_likely(raw: bytes, layout: Layout) -> bool:
    kind, padding = struct.unpack_from(f"{layout.order}hh", raw)
    if is_empty(raw) or not 0 <= kind <= _MOST_TYPE or padding:
        return False
    texts = _TEXTS.unpack_from(raw, 8)
    ended = all(b"\0" in one.rstrip(b"\0") + b"\0" and b"\0" not in one.rstrip(b"\0") for one in texts[::2])
    return ended and (kind == 0 or _EARLIEST <= layout.time(raw) <= _LATEST)


def _text(raw: bytes) -> str:
    return text_of(raw.partition(b"\0")[0])


def _address(raw: bytes) -> str:
    """The remote address, four bytes or sixteen, in the order of the network; empty where there is none."""
    if not any(raw):
        return ""
    if not any(raw[4:]):
        return str(ipaddress.IPv4Address(raw[:4]))
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)
