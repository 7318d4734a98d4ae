"""The mounts of this process's namespace, as the kernel lists them (``/proc/PID/mountinfo``: proc(5), Linux 6.18)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTINFO = "/proc/self/mountinfo"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount."""

    number: int
    """Its id, as ``mnt_id`` in ``/proc/PID/fdinfo/FD``."""
    parent: int
    device: int
    """What ``st_dev`` of its files is; btrfs subvolumes have others."""
    root: str
    """The directory of the file system that is mounted."""
    point: str
    """Where, seen from this process's root; paths as :func:`os.fsdecode` gives them."""
    kind: str
    """The type, with a FUSE file system's own name behind a full stop: ``ext4``, ``fuse.sshfs``."""
    source: str
    options: str
    """Those of the file system (super options), comma-separated."""
    flags: str = ""
    """Those of this mount alone, comma-separated: ``ro``, ``nosuid``, ``nodev``, ``noexec``, ``relatime``."""

    @property
    def in_force(self) -> str:
        """Both kinds in one text, as ``/proc/mounts`` has it: ``ro`` where either says so."""
        both = [one for one in (self.options + "," + self.flags).split(",") if one not in ("", "ro", "rw")]
        read_only = "ro" in self.options.split(",") or "ro" in self.flags.split(",")
        return ",".join(["ro" if read_only else "rw", *dict.fromkeys(both)])


class Mounts:
    """A list of mounts."""

    def __init__(self, mounts: tuple[Mount, ...], *, known: bool = True) -> None:
        self.all = mounts
        self.known = known
        """Whether the kernel could be asked; without ``/proc`` nothing is known of any mount."""
        self._by_number = {one.number: one for one in mounts}
        self._by_device = {one.device: one for one in mounts}
        self.by_point = {one.point: one for one in mounts}
        """The topmost mount at each point: later ones lie over earlier ones."""

    def on(self, device: int) -> Mount | None:
        """A mount of the file system whose files have this ``st_dev``; None if there is none in the list."""
        return self._by_device.get(device)

    def covering(self, path: str) -> Mount | None:
        """The mount on which an absolute path lies, if no link leads elsewhere; None if it is not in the list."""
        while path not in self.by_point and path not in ("", "/"):
            path = path.rpartition("/")[0] or "/"
        return self.by_point.get(path)

    def behind(self, fd: int) -> Mount | None:
        """The mount that an open descriptor leads into; None if it is not in the list."""
        number = number_behind(fd)
        return self._by_device.get(os.fstat(fd).st_dev) if number is None else self._by_number.get(number)


def number_behind(fd: int) -> int | None:
    """The number of the mount that an open descriptor leads into; None where the kernel cannot be asked."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
            for line in lines:
                if line.startswith(b"mnt_id:"):
                    return int(line[7:])
    except (OSError, ValueError):
        pass
    return None


def read_mounts(path: str = MOUNTINFO) -> Mounts:
    """The mounts as they are now. Never raises: see :attr:`Mounts.known`."""
    try:
        return Mounts(tuple(each_mount(path)))
    except OSError:
        return Mounts((), known=False)


def each_mount(path: str = MOUNTINFO) -> Iterator[Mount]:
    """The mounts one by one, all of them: what lies behind one that was left out would not be known as what it is.

    Their number is the kernel's to limit (fs.mount-max, 100,000 in a namespace); a list of somebody else's namespace is
    as long as he likes, so who goes through many keeps of it only what is asked for.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        for line in stream:
            mount = _mount(os.fsdecode(line).removesuffix("\n"))
            if mount is not None:
                yield mount


def _mount(line: str) -> Mount | None:
    """One line: ``36 35 98:0 /root /point options shared:1 - ext4 /dev/x rw,errors=continue``."""
    before, _, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")  # nothing else stands between them: paths may hold a ``\r``
    if len(fields) < 6 or not rest[0]:
        return None
    major, _, minor = fields[2].partition(":")
    try:
        number, parent, device = int(fields[0]), int(fields[1]), os.makedev(int(major), int(minor))
    except (ValueError, OverflowError):
        return None
    root, point, flags = fields[3], fields[4], fields[5]
    kind, source, options = rest if len(rest) == 3 else (*rest, "", "")[:3]
    if "\\" in line:
        root, point, kind, source, options, flags = map(_text, (root, point, kind, source, options, flags))
    return Mount(number, parent, device, root, point, kind, source, options, flags)


def _text(field: str) -> str:
    r"""A field as it is; blanks, tabs, line ends and backslashes in it are octal (``\040``)."""
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes((int(found[1], 8) & 0xFF,)), os.fsencode(field)))
