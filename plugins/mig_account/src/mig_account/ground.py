"""What one look at accounts needs: the system's files, bounded and booked, and the clock. Used by every other file.

Nothing here asks a name service: that could go over the network. Mount points of other machines are not gone into.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass
from mig_endpoint import coverage
from mig_endpoint.files.doorways import mounts_below, root_of
from mig_endpoint.packages.folder import GONE, TooLarge
from mig_endpoint.packages.mounts import elsewhere, mount_points
from mig_endpoint.packages.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.plugin.coverage import Tally

TOO_LARGE = Reason("file of accounts, rules or logins that is larger than is read")
TOO_MANY = Reason("entries beyond the number that is looked at")
NOT_UNDERSTOOD = Reason("line or record that could not be understood")
NO_RECORD = Reason("no record of what was asked about is kept here")
ELSEWHERE = Reason("file system of another machine, not asked")
MAX_FILE = 32 << 20
"""Bytes that are read of a file of text."""
DAY = 86_400
_ABSENT = frozenset({*GONE, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class Ground:
    """The system that is looked at."""

    tree: Tree
    tally: Tally
    expired: Callable[[], bool]
    now: float
    """Seconds since 1970."""

    @classmethod
    def below(cls, root: str, tally: Tally, expired: Callable[[], bool], now: float) -> Ground:
        """The ground of the system mounted at ``root``."""
        top = root_of(root)
        return cls(Tree(top, elsewhere(mount_points(mounts_below(top)))), tally, expired, now)

    @property
    def today(self) -> int:
        """The number of the day, as shadow(5) counts them."""
        return int(self.now // DAY)

    def failed(self, path: str, error: OSError | TooLarge) -> None:
        """Books that a path could not be looked at."""
        if isinstance(error, TooLarge):
            self.tally.failed(TOO_LARGE, path, "is larger than is read")
        elif error.errno == errno.EREMOTE:
            self.tally.skip(ELSEWHERE, path)
        else:
            coverage.failed(self.tally, path, error)

    def content(self, path: str, limit: int = MAX_FILE) -> bytes | None:
        """The content of a file; None when there is none, or it cannot be read, which is booked.

        Of a file that is too large the first ``limit`` bytes are given.
        """
        pieces: list[bytes] = []
        try:
            pieces.extend(self.tree.chunks(path, limit))
        except FileNotFoundError:
            return None
        except TooLarge as error:
            self.failed(path, error)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            self.failed(path, error)
            return None
        self.tally.examined("files")
        return b"".join(pieces)

    def lines(self, path: str, limit: int = MAX_FILE) -> Iterator[tuple[int, bytes]]:
        """The lines of a file by number, without their end; nothing when it is not there."""
        content = self.content(path, limit)
        if content is None:
            return
        rows = content.split(b"\n")
        if not rows[-1]:
            rows.pop()
        yield from enumerate(rows, 1)

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted; none when it is not there, or cannot be listed, which is booked."""
        try:
            return self.tree.names(path)
        except (OSError, TooLarge) as error:
            if not (isinstance(error, OSError) and error.errno in _ABSENT):
                self.failed(path, error)
            return []

    def status(self, path: str) -> os.stat_result | None:
        """The status of what a path leads to.

        Returns:
            None when it is not there.

        Raises:
            OSError: that cannot be found out.
        """
        try:
            return os.lstat(self.tree.real(path))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def status_or_none(self, path: str) -> os.stat_result | None:
        """As :meth:`status`; None also where it cannot be found out, which is booked."""
        try:
            return self.status(path)
        except OSError as error:
            self.failed(path, error)
            return None

    def runs(self, pid: int) -> bool:
        """Whether a process with this id runs here. Only of the endpoint's own system."""
        return pid > 0 and os.path.isdir(f"/proc/{pid}")

    def is_program(self, path: str) -> bool | None:
        """Whether a file is there that somebody may execute; None when that cannot be found out."""
        try:
            status = self.status(path)
        except OSError:
            return None
        return status is not None and stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)


def text_of(raw: bytes) -> str:
    """Bytes of a file as rows have them: what is no UTF-8 stays recognisable."""
    return raw.decode("utf-8", "surrogateescape")
