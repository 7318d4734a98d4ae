"""Where a walk passes from one file system to another, and how calls are made there.

Made once for a run, so that a file system that did not answer below one path is not waited for again below the next.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.files.calls import DIRECT, Guarded, Patience, Unresponsive
from mig_endpoint.files.filesystems import may_hang
from mig_endpoint.files.mounts import number_behind, read_mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_endpoint.files.calls import Calls
    from mig_endpoint.files.mounts import Mount, Mounts

MAX_GIVEN_UP = 50
"""Threads left behind in links of which nobody knows where they lead; after that such links are not followed."""


@dataclass(frozen=True, slots=True)
class Place:
    """How things are in the directories of a mount."""

    calls: Calls = DIRECT
    magic: bool = False
    """Links lead where no path does: ``/proc/PID/cwd`` (proc(5))."""
    automount: bool = False
    """Entering a directory would mount something (autofs(5), indirect map)."""


ORDINARY = Place()


class Crossings:
    """The mounts of the endpoint, and who calls them. To be closed with :meth:`close`."""

    def __init__(self, remaining: Callable[[], float], mounts: Mounts | None = None) -> None:
        """``remaining``: seconds until the deadline of the run. ``mounts``: for tests; None: the endpoint's."""
        self.mounts = mounts if mounts is not None else read_mounts()
        self.patience = Patience(remaining)
        self._peculiar = [one for one in self.mounts.by_point.values() if _is_peculiar(one)]
        self.careful = not self.mounts.known or any(may_hang(one) for one in self._peculiar)
        """Whether there is anything that may never answer."""
        self._guards: dict[int, Guarded] = {}
        self._links: Guarded | None = None
        self._paths: Guarded | None = None
        self._given_up = 0
        self._devices: dict[int, Calls] = {}
        self._elsewhere: dict[str, Mounts | None] = {}

    def close(self) -> None:
        """Lets the threads end that can."""
        for calls in (*self._guards.values(), *self._devices.values(), self._links, self._paths):
            if isinstance(calls, Guarded):
                calls.end()

    def below(self, root: str, fd: int) -> dict[str, Mount]:
        """The peculiar mounts below an open directory: their points as a walk from ``root`` will meet them.

        Args:
            root: its path, as the walk calls it.
            fd: the directory.
        """
        outer = root.rstrip("/") + "/" if root else ""
        if (theirs := self._seen_through(root, fd)) is not None:
            found = {one.point: one for one in theirs.by_point.values() if _is_peculiar(one) and one.point != root}
            self.careful = self.careful or not theirs.known or any(map(may_hang, found.values()))
            return found
        inner = real_path(fd, root).rstrip("/") + "/"
        return {outer + mount.point[len(inner) :]: mount for mount in self._peculiar if mount.point.startswith(inner)}

    def mount_behind(self, path: str, fd: int) -> Mount | None:
        """The mount that an open descriptor leads into, also one of another system that the path leads into."""
        theirs = self._seen_through(path, fd)
        if theirs is None:
            return self.mounts.behind(fd)
        from mig_endpoint.files.doorways import mounts_around

        return theirs.behind(fd) or mounts_around(path).behind(fd)

    def place_behind(self, path: str, fd: int) -> Place:
        """How things are in the directory that is open. What no list of mounts has (a dead network file system taken
        off while a process was in it, ``umount -l``) may be anything.
        """
        mount = self.mount_behind(path, fd)
        number = number_behind(fd) if mount is None and self.mounts.known else None
        if number is None:
            return self.place_of(mount)
        return Place(self._guards.setdefault(number, Guarded(self.patience)))

    def _seen_through(self, path: str, fd: int) -> Mounts | None:
        """The mounts below a directory of another mount namespace; None for one of ours."""
        if not self.mounts.known or self.mounts.behind(fd) is not None:
            return None
        if path not in self._elsewhere:
            from mig_endpoint.files.doorways import doorway, mounts_below  # few questions need it

            self._elsewhere[path] = None if doorway(path) is None else mounts_below(path)
        return self._elsewhere[path]

    def place_of(self, mount: Mount | None) -> Place:
        """How things are on a mount."""
        if mount is None or not _is_peculiar(mount):
            return ORDINARY
        calls: Calls = DIRECT
        if may_hang(mount):
            calls = self._guards.setdefault(mount.number, Guarded(self.patience))
        return Place(calls, magic=mount.kind == "proc", automount=mount.kind == "autofs")

    def for_path(self, path: str) -> Calls:
        """Who finds out what is at a path that somebody named: any part of it may be a link to anywhere."""
        path = os.path.abspath(path)
        mount = self.mounts.covering(path)
        if mount is not None and may_hang(mount):
            return self.place_of(mount).calls
        if not self.careful and not path.startswith("/proc/"):
            return DIRECT
        if self._paths is None or self._paths.gave_up:
            self._paths = Guarded(self.patience)
        return self._paths

    def follow(
        self, directory: int, names: Sequence[str], place: Place
    ) -> Iterator[tuple[os.stat_result, Calls] | OSError]:
        """What links of an open directory lead to, and who asks about that from then on; or why nobody knows.

        Args:
            directory: they lie in, open.
            names: of the links.
            place: how things are there.
        """
        calls = place.calls
        if calls.guarded or not (self.careful or place.magic):
            for name in names:
                try:
                    yield calls.stat(name, dir_fd=directory), calls
                except OSError as failure:
                    yield failure
            return
        try:
            found = self._links_guard().call(_stat_all, names, directory)
        except Unresponsive:
            found = [self._follow_alone(name, directory) for name in names]
        for one in found:
            yield one if isinstance(one, OSError) else (one, self._calls_on(one.st_dev))

    def _follow_alone(self, name: str, directory: int) -> os.stat_result | OSError:
        """What a link leads to, where one of its neighbours leads to somebody who does not answer."""
        try:
            text = os.readlink(name, dir_fd=directory)
            mount = self.mounts.covering(text) if text.startswith("/") else None
            guard = self.place_of(mount).calls if mount is not None and may_hang(mount) else self._links_guard()
            return guard.stat(name, dir_fd=directory)
        except OSError as failure:
            return failure

    def _links_guard(self) -> Guarded:
        """Who follows links of which nobody knows where they lead.

        Raises:
            Unresponsive: too many led to somebody who does not answer.
        """
        if self._links is None or self._links.gave_up:
            if self._given_up >= MAX_GIVEN_UP:
                raise Unresponsive
            self._given_up += self._links is not None
            self._links = Guarded(self.patience)
        return self._links

    def _calls_on(self, device: int) -> Calls:
        """Who asks about files with this ``st_dev``. One that no mount has is a subvolume, or in another namespace."""
        if device not in self._devices:
            mount = self.mounts.on(device)
            ours = mount is not None and not may_hang(mount)
            self._devices[device] = DIRECT if ours else self.place_of(mount).calls if mount else Guarded(self.patience)
        return self._devices[device]


def _stat_all(names: Sequence[str], directory: int) -> list[os.stat_result | OSError]:
    found: list[os.stat_result | OSError] = []
    for name in names:
        try:
            found.append(os.stat(name, dir_fd=directory))
        except OSError as failure:
            found.append(failure)
    return found


def real_path(fd: int, path: str) -> str:
    """The path of an open directory without links; as far as ``path`` tells it where the kernel cannot be asked."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return os.path.abspath(path)


def _is_peculiar(mount: Mount) -> bool:
    return mount.kind in ("proc", "autofs") or may_hang(mount)
