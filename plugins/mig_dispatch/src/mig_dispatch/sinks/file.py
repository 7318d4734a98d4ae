"""A file of records, one a line, with rotation. Private (0600), never through a symbolic link, durable per batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.plugin.printing import excerpt
from mig_dispatch import files
from mig_dispatch.sinks.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.targets import FileTarget


class FileSink:
    """Appends to ``path``; when it would grow past its size, it is rotated first."""

    def __init__(self, target: FileTarget, maker: RecordMaker) -> None:
        self._target = target
        self._path = Path(target.path)
        self._maker = maker
        self._descriptor = -1

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Writes them; a batch larger than a whole file is written in parts."""
        settled = 0
        try:
            while settled < len(alerts):
                size = self._open()
                lines: list[bytes] = []
                for alert in alerts[settled:]:
                    line = self._maker.record(alert) + b"\n"
                    if size + len(line) > self._target.max_bytes and (size or lines):
                        break
                    lines.append(line)
                    size += len(line)
                if not lines:
                    self._rotate()
                    continue
                files.append_lines(self._descriptor, b"".join(lines))
                settled += len(lines)
        except OSError as error:
            self.close()
            return Verdict(settled, {}, excerpt(f"{self._path}: {error.strerror or error}"))
        return Verdict(settled)

    def watch(self, now: float) -> None:
        """Nothing: a disk cannot be hurried."""

    def interrupt(self) -> None:
        """Nothing: as above."""

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> int:
        """Opens the file that has the name now; gives its size."""
        if self._descriptor >= 0:
            opened = os.fstat(self._descriptor)
            try:
                named = os.stat(self._path, follow_symlinks=False)
            except FileNotFoundError:
                named = None
            if named is not None and (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
                return opened.st_size
            self.close()
        self._descriptor = files.open_private(self._path, os.O_RDWR | os.O_CREAT)
        files.sync_folder(self._path.parent)
        return os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        files.shift(self._path, self._target.keep)
