"""What a source tells: something happened to a name in a directory. Which path that is, the watch finds out."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mig_fswatch import kernel

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mig_fswatch.actors import Actor


class What(IntFlag):
    """What happened; the kernel may fold several into one."""

    CREATED = 1
    """Made, linked, or renamed to this name."""
    REMOVED = 2
    """Removed, or renamed away from this name."""
    CONTENT = 4
    ATTRIBUTES = 8
    """Mode, owner, times, extended attributes, links."""
    MOVED = 16
    """By a rename."""
    DIRECTORY = 32
    """To a directory."""
    LOST = 64
    """The kernel's queue was full: anything may have happened anywhere."""
    FORGOTTEN = 128
    """The watch itself is gone: its directory was removed or unmounted."""


NOTHING = What(0)
HAPPENED = {
    kernel.CREATE: What.CREATED,
    kernel.DELETE: What.REMOVED,
    kernel.MODIFY: What.CONTENT,
    kernel.CLOSE_WRITE: What.CONTENT,
    kernel.ATTRIB: What.ATTRIBUTES,
    kernel.MOVED_FROM: What.REMOVED | What.MOVED,
    kernel.MOVED_TO: What.CREATED | What.MOVED,
    kernel.OVERFLOW: What.LOST,
}
"""What the kernel's bits mean that fanotify and inotify have in common."""


class Notice(NamedTuple):
    """One event of the kernel."""

    key: Hashable
    """The directory, as the source calls it; of a watched file, the file itself."""
    name: str
    """The name in it (:func:`os.fsdecode`); empty for the directory or file itself."""
    what: What
    actor: Actor | None
    """Who did it; None where the kernel does not say."""
    to_key: Hashable = None
    """A rename's other directory; None where it is not known."""
    to_name: str = ""
    file_key: Hashable = None
    """The file itself, where the kernel says it: finds names in other directories."""


class Source(Protocol):
    """One of the kernel's interfaces."""

    kind: str
    """``fanotify`` or ``inotify``."""

    def fileno(self) -> int:
        """The descriptor that becomes readable."""

    def read(self) -> list[Notice]:
        """What is there to read now. For the reader's thread."""

    def watch_directory(self, fd: int, *, names_only: bool) -> Hashable:
        """Begins to watch an open directory; again is no fault. Gives the key its notices will have.

        ``names_only``: what is written into its files does not matter. It never takes back that it did.

        Raises:
            OSError: it cannot be watched so.
        """

    def watch_file(self, fd: int) -> Hashable:
        """Begins to watch an open file that has several names.

        Raises:
            OSError: it cannot be watched so.
        """

    def close(self) -> None:
        """Ends all watches."""
