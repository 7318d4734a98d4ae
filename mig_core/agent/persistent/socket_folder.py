"""Where the sockets of persistent modules are: the path of a socket must be short."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_SOCKET_PATH = 100
"""sun_path holds 108 bytes (unix(7))."""


def socket_folder(wanted: Path, names: Mapping[str, object]) -> Path:
    """A private folder whose paths are short enough for sockets."""
    if not names:
        return wanted
    longest = max(len(name) for name in names)
    if len(os.fsencode(wanted)) + 1 + longest <= _MAX_SOCKET_PATH:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        return wanted
    return Path(tempfile.mkdtemp(prefix="mig-agent-"))
