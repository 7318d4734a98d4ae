"""Where the embedded PostgreSQL keeps its Unix socket: near its data, or somewhere shorter.

A Unix socket's path has at most 107 bytes, and a state directory may be longer (temporary folders of tests are); and
libpq takes a comma in the folder's name for a list of two. Then a short private folder is made below
``$XDG_RUNTIME_DIR`` or the temporary folder, and the state directory keeps a record of it, so that other processes find
the server and a crash leaves nothing unknown behind.
Used by :mod:`mig_core.store.embedded.server` only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from mig_core.store.embedded.unprivileged import Identity

PORT = 5432
"""Only a part of the socket's name: nothing listens on it."""

SOCKET_PATH_LIMIT = 107
"""Bytes a Unix socket's path may have (unix(7): 108 with the closing zero)."""


class SocketFolder:
    """The folder for the socket of the server in ``state_dir``, which must be absolute."""

    def __init__(self, state_dir: Path) -> None:
        self._near = state_dir / "run"
        self._record = state_dir / "socket-directory"
        length = len(os.fsencode(self._near / f".s.PGSQL.{PORT}"))
        self._fits = length <= SOCKET_PATH_LIMIT and "," not in str(self._near)

    def path(self) -> Path:
        """The folder, whoever made it.

        Raises:
            StoreUnavailable: it is not known, because the server does not run.
        """
        if self._fits:
            return self._near
        try:
            return Path(self._record.read_text(encoding="utf-8"))
        except OSError:
            raise StoreUnavailable(
                f"embedded PostgreSQL in {self._record.parent} does not run", next_step="start it first"
            ) from None

    def make(self, identity: Identity) -> Path:
        """Make it, private to ``identity``, and return it."""
        if self._fits:
            self._near.mkdir(mode=0o700, exist_ok=True)
            identity.own(self._near)
            return self._near
        with contextlib.suppress(StoreUnavailable, OSError):
            # Left by a run that was killed: taken again only if it is still a private folder of ours.
            earlier = self.path()
            found = earlier.lstat()
            if stat.S_ISDIR(found.st_mode) and (found.st_uid, found.st_mode & 0o777) == (identity.uid, 0o700):
                return earlier
        folder = Path(tempfile.mkdtemp(prefix="mig-pg-", dir=_short_place()))
        identity.own(folder)
        self._record.unlink(missing_ok=True)
        with self._record.open("x", encoding="utf-8") as file:
            file.write(str(folder))
        return folder

    def forget(self) -> None:
        """Remove a folder outside the state directory after the server stopped."""
        with contextlib.suppress(OSError, StoreUnavailable):
            if not self._fits:
                self.path().rmdir()  # empty after an orderly stop; otherwise it stays and is used again
                self._record.unlink()


def _short_place() -> str:
    """A folder for temporary files whose own path leaves room for the socket's; ``TMPDIR`` may be too long itself."""
    places = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/var/tmp"]  # noqa: S108  mkdtemp's is private
    room = SOCKET_PATH_LIMIT - len(f"/mig-pg-XXXXXXXX/.s.PGSQL.{PORT}.lock")
    fitting = [place for place in places if place and os.path.isdir(place) and len(os.fsencode(place)) <= room]
    return fitting[0] if fitting else places[-1]
