"""What a sink refused for good, kept for a person to look at: one JSON line an alert, with the reason.

The file is bounded: at half of the bound it becomes ``….1``, and what was there before goes. The receipts count every
alert that ever came here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_dispatch import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_dispatch.record import Alert


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An alert and why it is here. ``at`` is when it was refused, RFC 3339."""

    alert: Alert
    reason: str
    at: str

    def line(self) -> bytes:
        """The line in the file."""
        facts: dict[str, JSON] = {
            "at": self.at,
            "reason": self.reason,
            "received": self.alert.received,
            "number": self.alert.number,
            "module": self.alert.module,
        }
        return dump(facts)[:-1] + b',"event":' + self.alert.event + self.alert.counted() + b"}\n"


class DeadLetters:
    """One sink's dead letters. Not thread-safe: its delivery thread has it."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Durably adds them.

        Raises:
            OSError: the disk refuses.
        """
        content = b"".join(one.line() for one in letters)
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = files.open_private(self.path, os.O_RDWR | os.O_CREAT)
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(content) > self._max_bytes // 2:
                files.shift(self.path, 1)
                os.close(descriptor)
                descriptor = files.open_private(self.path, os.O_RDWR | os.O_CREAT)
            files.append_lines(descriptor, content)
            files.sync_folder(self.path.parent)
        finally:
            os.close(descriptor)
