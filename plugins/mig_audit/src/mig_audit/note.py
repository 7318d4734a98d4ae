"""What the module must remember across its own sudden end, in ``service.state``.

``installed.json`` says what was changed in the kernel, so that a killed module's rules are taken over or removed at the
next start and the old settings restored after all. ``position`` holds the last serial that was handed on, in memory
shared with the file: writing it costs nothing and survives ``kill -9``. Both count within one boot only.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import struct
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

from mig_audit.netlink import Status
from mig_core.domain.document import load
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from pathlib import Path

MAX_NOTE = 64 << 20
_POSITION = struct.Struct("=40sQ")


def boot_id() -> str:
    """The kernel's name for the time since it was started."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


@dataclass(slots=True)
class Note:
    """What was there before us, and what we put there."""

    before: Status
    rules: list[bytes] = field(default_factory=list)
    """Our rules, packed."""


class Notebook:
    """Keeps the note."""

    def __init__(self, state: Path) -> None:
        self._path = state / "installed.json"
        self._boot = boot_id()

    def read(self) -> Note | None:
        """The note that a module of this boot has left; None when there is none that can be read."""
        try:
            with open(self._path, "rb") as file:
                document = load(file.read(MAX_NOTE), subject="installed.json", max_bytes=MAX_NOTE)
        except (OSError, InvalidDocument):
            return None
        if not isinstance(document, dict) or document.get("boot") != self._boot:
            return None
        before, rules = document.get("before"), document.get("rules")
        if not isinstance(before, dict) or not isinstance(rules, list):
            return None
        known = {one.name for one in fields(Status)}
        numbers = {key: value for key, value in before.items() if key in known and isinstance(value, int)}
        packed = []
        for one in rules:
            try:
                packed.append(base64.b64decode(str(one), validate=True))
            except ValueError:
                return None
        return Note(Status(**numbers), packed)

    def write(self, note: Note) -> None:
        """Keeps a note, durably, before the kernel is changed."""
        document = {
            "boot": self._boot,
            "before": asdict(note.before),
            "rules": [base64.b64encode(one).decode("ascii") for one in note.rules],
        }
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)

    def remove(self) -> None:
        """Everything is as it was: nothing to remember."""
        self._path.unlink(missing_ok=True)


class Position:
    """The last serial up to which everything was handed on."""

    def __init__(self, state: Path) -> None:
        """Opens the file, and reads where a module of this boot was."""
        descriptor = os.open(state / "position", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _POSITION.size)
            self._memory = mmap.mmap(descriptor, _POSITION.size)
        finally:
            os.close(descriptor)
        self._boot = boot_id().encode("ascii")[:40].ljust(40, b"\0")
        boot, serial = _POSITION.unpack_from(self._memory)
        self.found: int = serial if boot == self._boot else 0
        """Where the last module of this boot was; 0 when there was none, or it ended in peace."""

    def keep(self, serial: int) -> None:
        """Everything up to ``serial`` was handed on; 0 when the module ends in peace."""
        _POSITION.pack_into(self._memory, 0, self._boot, serial)

    def close(self) -> None:
        """Closes the file."""
        self._memory.close()
