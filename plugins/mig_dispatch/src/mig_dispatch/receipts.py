"""How far each sink has come, and what became of every record on the way: n in = delivered + merged + unwanted +
dead-lettered + damaged + dropped + spooled.

A :class:`Receipt` is one fixed slot in the sink's own file. The file has two slots, written in turn, each with a
number and a checksum: a crash in the middle of one leaves the other. All counters come from one slot, so they add up
at every moment, whatever is killed. A slot that was written but not synced may be lost with the power; then records
are delivered again, and none is forgotten.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from mig_dispatch import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mig_dispatch.spool import Spool

_SLOT = struct.Struct("<8sQQQQQQQQ")
_CRC = struct.Struct("<I")
_MARK = b"MIGrcpt3"
_FORMS = (
    (_SLOT, _MARK),
    (struct.Struct("<8sQQQQQQ"), b"MIGrcpt2"),  # before sinks chose and aggregated
    (struct.Struct("<8sQQQQQ"), b"MIGrcpt1"),  # before they had bounds of their own
)
_SLOT_OFFSETS = (0, 4096)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One sink's books. ``since`` is the first record it was ever asked to deliver, ``next`` the one it is at."""

    since: int
    next: int
    dead: int = 0
    """Records the sink refused for good."""
    damaged: int = 0
    """Records that the disk did not give back."""
    dropped: int = 0
    """Records that waited beyond the sink's bounds."""
    merged: int = 0
    """Records that went out in the count of another that is alike."""
    unwanted: int = 0
    """Records that the sink is not meant to get."""

    @property
    def delivered(self) -> int:
        """Records the sink accepted."""
        others = self.dead + self.damaged + self.dropped + self.merged + self.unwanted
        return self.next - self.since - others


class ReceiptFile:
    """A receipt on disk. Not thread-safe.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = files.open_private(path, os.O_RDWR | os.O_CREAT)
        self._serial = 0
        self._synced = True
        self.receipt: Receipt | None = None
        """The newest one that is whole."""
        for offset in _SLOT_OFFSETS:
            self._load(os.pread(self._descriptor, _SLOT.size + _CRC.size, offset))

    def store(self, receipt: Receipt) -> None:
        """Writes it; safe against the end of this process at once, against loss of power after :meth:`sync`.

        Raises:
            OSError: the one before is still there.
        """
        serial = self._serial + 1
        slot = _SLOT.pack(_MARK, serial, *astuple(receipt))
        files.write_at(self._descriptor, slot + _CRC.pack(zlib.crc32(slot)), _SLOT_OFFSETS[serial % 2])
        self._serial, self.receipt, self._synced = serial, receipt, False

    def sync(self) -> None:
        """Makes the newest one durable."""
        if not self._synced:
            os.fsync(self._descriptor)
            self._synced = True

    def close(self) -> None:
        """Syncs and closes."""
        self.sync()
        os.close(self._descriptor)

    def _load(self, raw: bytes) -> None:
        for form, its_mark in _FORMS:
            slot, check = raw[: form.size], raw[form.size : form.size + _CRC.size]
            if len(check) != _CRC.size or _CRC.unpack(check)[0] != zlib.crc32(slot):
                continue
            mark, serial, *numbers = form.unpack(slot)
            receipt = Receipt(*numbers)
            if mark == its_mark and serial > self._serial and receipt.delivered >= 0:
                self._serial, self.receipt = serial, receipt
                return


class Receipts:
    """The receipts of all sinks of one spool; lets the spool free what all of them have passed. Thread-safe.

    A sink that is new gets everything that is still in the spool. One that was taken out of the configuration keeps
    its file, and goes on where it was if it comes back; what is gone by then counts as damaged.
    """

    def __init__(self, spool: Spool, names: Iterable[str]) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._files = {}
        for name in names:
            file = self._files[name] = ReceiptFile(spool.folder / f"{name}.receipt")
            if file.receipt is None or file.receipt.next > spool.next:
                file.store(Receipt(spool.first, spool.first))
        files.sync_folder(spool.folder)
        self.sync()

    def of(self, name: str) -> Receipt:
        """A sink's receipt as it is now."""
        with self._lock:
            receipt = self._files[name].receipt
        assert receipt is not None
        return receipt

    def settle(
        self,
        name: str,
        *,
        following: int,
        dead: int = 0,
        damaged: int = 0,
        dropped: int = 0,
        merged: int = 0,
        unwanted: int = 0,
    ) -> None:
        """Everything before record ``following`` is settled for this sink; of it, so many more were not delivered.

        Raises:
            OSError: the disk refuses; the receipt is as before.
        """
        with self._lock:
            file = self._files[name]
            old = file.receipt
            assert old is not None
            new = replace(
                old,
                next=following,
                dead=old.dead + dead,
                damaged=old.damaged + damaged,
                dropped=old.dropped + dropped,
                merged=old.merged + merged,
                unwanted=old.unwanted + unwanted,
            )
            file.store(new)
            passed = self._passed()
        if self._spool.releasable(passed):
            self.sync()

    def sync(self) -> None:
        """Makes all receipts durable, then frees what nobody needs any more, in this order.

        Raises:
            OSError: the disk refuses; nothing was freed.
        """
        with self._lock:
            for file in self._files.values():
                file.sync()
            passed = self._passed()
        self._spool.release(passed)

    def close(self) -> None:
        """Syncs and closes all files."""
        with self._lock:
            for file in self._files.values():
                file.close()

    def _passed(self) -> int:
        return min((file.receipt.next for file in self._files.values() if file.receipt is not None), default=0)
