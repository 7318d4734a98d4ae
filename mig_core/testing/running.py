"""Which processes there are, and whether one still does something."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether it has not ended; one that nobody has waited for yet (a zombie) has."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    return False


def verifying(home: Path) -> list[int]:
    """The gpg that verify with this GnuPG home, or wait to. One that has just been started may not be there yet."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"--verify" in words and os.fsencode(home) in words:
                found.append(int(folder.name))
    return found
