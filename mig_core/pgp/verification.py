"""One run of ``gpg --verify``, which can be begun before it is known what it is to verify.

gpg has read its options and initialised its libraries by then, which is more than half of its work, and waits for the
signature on its standard input. It reads the keys, and looks at the clock, when it has that. So what changed while it
waited counts; and what is signed, a file in the home, is written before gpg is told to go on.

It ends when its standard input does, so it does not outlive who began it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from mig_core.pgp.gnupg_program import Output, begin, finish, give_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_WAIT_SECONDS = 60.0
"""gpg itself may be replaced by a better one: a run that has waited for longer is not used."""
MAX_VERIFY_SECONDS = 20.0
"""One that has waited may have been stopped meanwhile: it is given up then, and a new one asked."""


class Verification:
    """A run that was begun. It is used once: to verify, or to be given up."""

    def __init__(self, gpg: Any, home: Path) -> None:
        """Begins it.

        Args:
            gpg: of :func:`~mig_core.pgp.gnupg_program.open_gpg`.
            home: its home, where what is signed lies meanwhile.

        Raises:
            OSError: gpg does not start.
        """
        self._signed = home / f"signed-{os.urandom(8).hex()}"
        self._begun = time.monotonic()
        self._run = begin(gpg, ["--verify", "--lock-never", "-", str(self._signed)])

    @property
    def pid(self) -> int:
        """gpg's."""
        return self._run.pid

    @property
    def usable(self) -> bool:
        """Whether it still waits, and has not waited for too long."""
        return self._run.poll() is None and time.monotonic() - self._begun <= MAX_WAIT_SECONDS

    def of(self, data: bytes, signature: bytes, *, within: float | None = None) -> Output:
        """What gpg says of a detached signature over the data.

        Raises:
            OSError: the data cannot be written, or gpg has not ended within so many seconds.
        """
        try:
            with open(self._signed, "xb", opener=_private) as file:
                file.write(data)
            return finish(self._run, signature, within=within)
        finally:
            self.give_up()
            self._signed.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Ends it, if it has not ended; harmless a second time."""
        give_up(self._run)


class Ahead:
    """At most one run, begun for the verification that comes next. Thread-safe."""

    def __init__(self, make: Callable[[], Verification]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._waiting: Verification | None = None
        self._dropped = 0
        """How often :meth:`drop` was called."""

    def get_ready(self) -> None:
        """Begins one, unless one waits. Where none can be begun, none waits."""
        with self._lock:
            if self._waiting is not None and self._waiting.usable:
                return
            dropped = self._dropped
        unwanted: Verification | None = None
        with contextlib.suppress(OSError):
            unwanted = self._make()
        with self._lock:
            if unwanted is not None and dropped == self._dropped:
                unwanted, self._waiting = self._waiting, unwanted
        if unwanted is not None:
            unwanted.give_up()

    def take(self) -> Verification | None:
        """The one that waits, for whoever is first; it may have ended since it was looked at."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.usable:
            waiting.give_up()
            return None
        return waiting

    def drop(self) -> None:
        """Ends the one that waits; one that another thread begins meanwhile ends, too."""
        with self._lock:
            self._dropped += 1
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.give_up()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
