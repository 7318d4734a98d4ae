"""What is known of one entry of a directory, and how it is looked at. The status comes first, then the content:
whatever is written meanwhile makes an event, and is looked at again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.files.attributes import CAPABILITY, capabilities_text, extended_attributes
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.opening import open_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.naming import PathText

NOT_HASHED = Reason("file larger than hash_up_to_mb: its content is told by size and times", as_asked=True)
YOUNG_NS = 2_000_000_000
"""A file that changed so short before it was looked at may have changed again within the same tick of the clock that
times are taken from: it is not taken as unchanged because its times are."""
PIECE = 1 << 18
LONG_VALUE = 64
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device",
}  # fmt: skip


class Entry(NamedTuple):
    """What is known. As a row of the baseline, in this order."""

    kind: str
    mode: int
    """Permission bits."""
    uid: int
    gid: int
    size: int
    mtime: int
    """Nanoseconds since 1970."""
    ctime: int
    device: int
    """It lies on; of a device file, its own number."""
    inode: int
    links: int
    sha256: bytes | None
    """None of what is no regular file, is too large or could not be read yet."""
    target: bytes | None
    """Of a link."""
    attributes: str
    """Extended attributes as JSON: name -> value in hexadecimal, of long ones ``sha256:…``; empty if none."""
    young: int
    """1: see :data:`YOUNG_NS`; also where the content could not be read. It is read when it is looked at again."""

    def to_json(self) -> dict[str, JSON]:
        """As events show it."""
        shown: dict[str, JSON] = {
            "kind": self.kind, "mode": f"{self.mode:04o}", "uid": self.uid, "gid": self.gid, "links": self.links,
        }  # fmt: skip
        if self.kind == "file":
            shown |= {"size": self.size, "sha256": self.sha256.hex() if self.sha256 else None}
        if self.kind != "directory":
            shown["mtime"] = utc(self.mtime)
        if self.target is not None:
            shown["target"] = self.target.decode("utf-8", "backslashreplace")
        if self.attributes:
            values: dict[str, str] = json.loads(self.attributes)
            if (value := values.get(CAPABILITY)) and not value.startswith("sha256:"):
                shown["capabilities"] = capabilities_text(bytes.fromhex(value))
            shown["attributes"] = dict(values)
        return shown


def utc(nanoseconds: int) -> str:
    """A time as RFC 3339 has it, to milliseconds; the first and the last that fit where it does not fit."""
    seconds, rest = divmod(max(0, min(nanoseconds, 253_402_300_799_000_000_000)), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1_000_000:03d}Z"


class Looker:
    """Looks at entries."""

    def __init__(self, hash_up_to: int) -> None:
        """``hash_up_to``: bytes."""
        self._hash_up_to = hash_up_to
        self._buffer = memoryview(bytearray(PIECE))

    def look(
        self,
        directory: int | None,
        name: str,
        path: PathText,
        tally: Tally,
        known: Entry | None,
        *,
        again: bool = False,
    ) -> Entry | None:
        """What an entry is now; None if there is none.

        Args:
            directory: descriptor; None where ``name`` is a whole path.
            name: of the entry, in it.
            path: to name it.
            tally: where is booked what cannot be found out.
            known: what was known; given back where the status is still the same, and where it cannot be looked at.
            again: read the content even where the status is still the same.
        """
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError as failure:
            if failure.errno not in (errno.ENOENT, errno.ENOTDIR):
                coverage.failed(tally, path, failure)
                return known
            return None
        if known is not None and not again and not known.young and _unchanged(known, status):
            return known
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "unknown")
        digest = target = attributes = None
        if kind == "file":
            digest, status, attributes = self._content(directory, name, status, path, tally)
        elif kind == "link":
            with contextlib.suppress(OSError):
                target = os.fsencode(os.readlink(name, dir_fd=directory))
        device = status.st_rdev if kind.endswith("device") else status.st_dev
        unread = kind == "file" and digest is None and status.st_size <= self._hash_up_to
        if unread and known is not None and (known.size, known.mtime) == (status.st_size, _sane(status.st_mtime_ns)):
            digest = known.sha256  # what it was is compared with what can be read later
        return Entry(
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_size,
            _sane(status.st_mtime_ns),
            _sane(status.st_ctime_ns),
            device,
            _signed(status.st_ino),
            status.st_nlink if kind != "directory" else 1,
            digest,
            target,
            _attributes(directory, name, path, tally) if attributes is None else attributes,
            int(unread or status.st_ctime_ns > time.time_ns() - YOUNG_NS),
        )

    def _content(
        self, directory: int | None, name: str, status: os.stat_result, path: PathText, tally: Tally
    ) -> tuple[bytes | None, os.stat_result, str | None]:
        """The hash; the status of what was really opened, as it was before it was read; its attributes, if known."""
        if status.st_size > self._hash_up_to:
            tally.skip(NOT_HASHED, path)
            return None, status, None
        try:
            fd = open_file(name, directory, follow=False)
        except OSError as failure:
            if failure.errno != errno.ENOENT:
                coverage.failed(tally, path, failure)
            return None, status, None
        try:
            opened = os.fstat(fd)
            if not stat.S_ISREG(opened.st_mode):
                return None, status, None
            attributes = _text_of({one: os.getxattr(fd, one) for one in _listed(fd)})
            digest = hashlib.sha256(usedforsecurity=False)
            rest = self._hash_up_to + 1  # a file may grow faster than it is read
            while (count := os.readv(fd, [self._buffer])) > 0 and rest > 0:
                digest.update(self._buffer[:count])
                rest -= count
                if count < PIECE and rest > 0 and count == opened.st_size:
                    break
            tally.examined("bytes", self._hash_up_to + 1 - rest)
            return (digest.digest() if rest > 0 else None), opened, attributes
        except OSError as failure:
            coverage.failed(tally, path, failure)
            return None, status, None
        finally:
            os.close(fd)


def _unchanged(known: Entry, status: os.stat_result) -> bool:
    return (
        known.ctime == status.st_ctime_ns
        and known.mtime == status.st_mtime_ns
        and known.size == status.st_size
        and known.inode == _signed(status.st_ino)
        and known.mode == stat.S_IMODE(status.st_mode)
        and known.kind == KINDS.get(stat.S_IFMT(status.st_mode))
    )


def _attributes(directory: int | None, name: str, path: PathText, tally: Tally) -> str:
    try:
        if directory is None:
            values = {one: os.getxattr(name, one, follow_symlinks=False) for one in _listed(name)}
        else:
            values = extended_attributes(name, directory, follow=False, calls=DIRECT)
    except OSError as failure:
        if failure.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENODATA):
            coverage.failed(tally, path, failure)
        return ""
    return _text_of(values)


def _text_of(values: Mapping[str, bytes]) -> str:
    """Attributes as the baseline has them."""
    if not values:
        return ""
    shown = {
        one: value.hex() if len(value) <= LONG_VALUE else f"sha256:{hashlib.sha256(value).hexdigest()}"
        for one, value in values.items()
    }
    return json.dumps({one.encode("utf-8", "backslashreplace").decode(): shown[one] for one in sorted(shown)})


def _listed(of: str | int) -> list[str]:
    """Names of the attributes of a path, a link's own, or of what is open."""
    try:
        return os.listxattr(of) if isinstance(of, int) else os.listxattr(of, follow_symlinks=False)
    except OSError as failure:
        if failure.errno == errno.ENOTSUP:
            return []
        raise


def _sane(nanoseconds: int) -> int:
    """A time that a database's 64 bits hold: a file system may have any."""
    return max(-(1 << 63), min(nanoseconds, (1 << 63) - 1))


def _signed(number: int) -> int:
    """An inode's number as a database's signed 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number
