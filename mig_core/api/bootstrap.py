"""The one-time secret that admits the first investigator of a fresh platform.

It lies in a file (mode 0600) in mig-api's state directory for as long as there is no investigator; whoever can read it
owns the machine anyway. Authentication is never switched off.
"""

from __future__ import annotations

import hmac
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

FILE_NAME = "bootstrap-secret"


class BootstrapSecret:
    """The secret of one state directory.

    Args:
        folder: the state directory.
        new_secret: makes an unguessable text.
    """

    def __init__(self, folder: Path, new_secret: Callable[[], str]) -> None:
        self.path = folder / FILE_NAME
        self._new_secret = new_secret

    def offer(self) -> None:
        """Makes the file, or keeps the one of an earlier start."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            if self._present():
                log.info("no investigator yet; the one-time secret is still in %s", self.path)
                return
            self.spend()
            self.offer()
            return
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self._new_secret() + "\n")
            file.flush()
            os.fsync(file.fileno())
        log.info("no investigator yet; the one-time secret for `mig investigator bootstrap` is in %s", self.path)

    def matches(self, given: str) -> bool:
        """Whether this is the secret, compared in constant time; never when there is none."""
        present = self._present()
        return bool(present) and hmac.compare_digest(present.encode(), given.encode("utf-8", "surrogatepass"))

    def spend(self) -> None:
        """Removes it for good."""
        self.path.unlink(missing_ok=True)

    def _present(self) -> str:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(1000).decode("ascii", "replace").strip()
