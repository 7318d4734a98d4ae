"""What a difference between two looks at an entry is called, and which two of them are one move. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_fswatch.notice import NOTHING, What

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_fswatch.actors import Actor
    from mig_fswatch.entry import Entry

NEW, CHANGED, MOVED, REMOVED, MODE, OWNER = "new", "changed", "moved", "removed", "mode", "owner"
ATTRIBUTES, TIMES, PASSING = "attributes", "times", "passing"
KINDS = (NEW, CHANGED, MOVED, REMOVED, MODE, OWNER, ATTRIBUTES, TIMES, PASSING)
"""``passing``: made and gone again before it could be looked at."""
LIVE = "live"


@dataclass(slots=True)
class Change:
    """One entry that is not what it was."""

    path: str
    old: Entry | None
    new: Entry | None
    seen: str = LIVE
    """``live``, or why everything was compared: ``start``, ``overflow``, ``mounts``, ``interval``."""
    what: What = NOTHING
    events: int = 0
    """Of the kernel; 0 where a comparison found it."""
    actors: dict[Actor, int] = field(default_factory=dict)
    """Who, and with how many events; the last one last."""
    first: float = 0.0
    """Seconds since 1970 of the first event, or of the comparison."""
    last: float = 0.0
    moved_from: str = ""
    replaced: Entry | None = None
    """What a move put an end to."""

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`; the first that fits of several."""
        if self.moved_from:
            return MOVED
        if self.old is None:
            return NEW if self.new is not None else PASSING
        if self.new is None:
            return REMOVED
        differing = set(self.differs())
        for name, members in _PRECEDENCE:
            if differing & members:
                return name
        return TIMES

    def differs(self) -> list[str]:
        """Which facts are others than before."""
        return differences(self.old, self.new)

    def matters(self) -> bool:
        """Whether there is something to tell."""
        if self.old is None and self.new is None:
            return bool(self.what & What.CREATED) and not self.moved_from
        return self.old is None or self.new is None or bool(self.moved_from) or bool(self.differs())


_PRECEDENCE = (
    (CHANGED, {"kind", "sha256", "target", "size", "device"}),
    (OWNER, {"uid", "gid"}),
    (MODE, {"mode"}),
    (ATTRIBUTES, {"attributes", "links"}),
    (CHANGED, {"content"}),
)


def differences(old: Entry | None, new: Entry | None) -> list[str]:
    """The facts in which two looks at an entry differ; empty where one of them is missing.

    Of directories size, times and links say what happens in them, which is told by itself. ``content`` stands for a
    file without a hash whose size or time of change is another.
    """
    if old is None or new is None:
        return []
    if old.kind != new.kind:
        return ["kind"]
    found = [
        name for name in ("mode", "uid", "gid", "attributes", "target") if getattr(old, name) != getattr(new, name)
    ]
    if old.kind == "file":
        if old.sha256 is not None and new.sha256 is not None:
            found += ["sha256"] if old.sha256 != new.sha256 else []
        elif old.size != new.size or old.mtime != new.mtime:
            found.append("content")
        found += [name for name in ("size", "links") if getattr(old, name) != getattr(new, name)]
    elif old.kind.endswith("device") and old.device != new.device:
        found.append("device")
    if old.kind != "directory" and old.mtime != new.mtime:
        found.append("mtime")
    return found


def with_moves(changes: Iterable[Change]) -> list[Change]:
    """The changes, with one that went and one that came as a single move where they are the same file.

    The same inode is not enough: the next file that is made may get it. A file has to have its time and content too; a
    directory has to have come by a rename, or, where a comparison found it, to have its time.
    """
    changes = list(changes)
    gone = {(one.old.device, one.old.inode): one for one in changes if one.new is None and one.old is not None}
    if not gone:
        return changes
    taken: set[str] = set()
    for one in changes:
        if one.new is None or (one.old is not None and one.old.inode == one.new.inode):
            continue
        source = gone.get((one.new.device, one.new.inode))
        if source is None or source.old is None or source.path in taken or not _same(source.old, one):
            continue
        taken.add(source.path)
        one.moved_from, one.replaced, one.old = source.path, one.old, source.old
        one.events += source.events
        one.actors = {**source.actors, **one.actors}
        one.first = min(one.first, source.first)
    kept = [one for one in changes if one.path not in taken]
    _whoever_moved_the_directory(kept)
    return kept


def _whoever_moved_the_directory(changes: Iterable[Change]) -> None:
    """What was moved because a directory above it was, was moved by the same process."""
    moved = [one for one in changes if one.moved_from]
    directories = {one.path: one for one in moved if one.new is not None and one.new.kind == "directory"}
    for one in moved:
        above = one.path
        while not one.actors and (above := above.rpartition("/")[0]):
            found = directories.get(above)
            if found is not None and one.moved_from == found.moved_from + one.path[len(above) :]:
                one.actors = found.actors


def _same(old: Entry, came: Change) -> bool:
    new = came.new
    if new is None or old.kind != new.kind:
        return False
    if old.kind == "directory":
        return bool(came.what & What.MOVED) or (came.seen != LIVE and old.mtime == new.mtime)
    return old.mtime == new.mtime and old.size == new.size and old.sha256 == new.sha256 and old.target == new.target
