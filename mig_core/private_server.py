"""What the servers that MIG starts for itself have in common: one state folder each, and an end in good order.

Used by :mod:`mig_core.store.embedded.server` (PostgreSQL) and :mod:`mig_core.relay.private_rabbitmq`, which know
nothing of each other; so it lies below both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from signal import Signals

_PAUSE = 0.05


def lock_folder(folder: Path, *, wait: float) -> int | None:
    """Locks a state folder by its file ``lock``; None when somebody else still holds it after ``wait`` seconds.

    Returns:
        The descriptor. A server that inherits it holds the lock, too: until the last of its processes has ended.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(_PAUSE)
        else:
            return descriptor


def end(process: subprocess.Popen[bytes], steps: Sequence[tuple[Signals, float]]) -> None:
    """Ends a process by one signal after the other until it is gone; each has some seconds to work."""
    for number, grace in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
