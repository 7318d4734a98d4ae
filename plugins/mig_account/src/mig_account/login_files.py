"""Opening files of logins: which there are, rotated ones included, and their bytes, whether compressed or not."""

from __future__ import annotations

import io
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mig_account import utmp
from mig_account.ground import NOT_UNDERSTOOD, TOO_LARGE, TOO_MANY
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass
from mig_endpoint import coverage
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.compressed import Expanded, decompressor_for
from mig_endpoint.files.interruptions import DeadlinePassed, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_account.ground import Ground

LOG = "/var/log"
_ROTATED = re.compile(r"[.-](\d{1,14})(?:[.-]\d{1,10})?(?:\.(?:gz|xz|bz2|zst|zstd))?\Z")
_DATABASE = re.compile(r"wtmp(?:_(\d{8})\w*)?\.db(?:[.-]\d{1,14})?(?:\.(?:gz|xz|bz2|zst|zstd))?")
_OTHERS = re.compile(r"[.]db|[.]log\Z")
"""Databases, and logs of other programs."""
_OF_DATABASES = ("/var/lib/wtmpdb", LOG)
"""Folders of wtmpdb(8); before 0.75 Debian had the database in the second, and a link to it in the first."""
OTHER_NAME = Reason("file beside those of logins, by its name perhaps a copy of one, that was not read")
MAX_EXPANDED = 64 << 20
"""Bytes of a compressed file that are read."""
WIPED = Reason("record of a login that is empty, as whoever hides one leaves it", as_asked=True)
_PIECE = 1 << 18
_SAMPLE = 64 * 400


@dataclass(frozen=True, slots=True)
class LoginFile:
    """An open file of records."""

    path: str
    size: int
    pread: Callable[[int, int], bytes]
    """Gives so many bytes from a place on."""


def rotated(ground: Ground, name: str) -> list[str]:
    """A file of ``/var/log`` and those that logrotate(8) made of it, the newest first."""
    found: list[tuple[int, str]] = []
    for one in ground.names(LOG):
        if one == name:
            found.append((-1, one))
        elif one.startswith(name) and (parts := _ROTATED.fullmatch(one[len(name) :])):
            number = int(parts[1])
            dated = number > 10_000
            found.append((10**15 - number if dated else number, one))
        elif one.startswith((f"{name}.", f"{name}-", f"{name}_")) and not _OTHERS.search(one):
            ground.tally.skip(OTHER_NAME, f"{LOG}/{one}")
    return [f"{LOG}/{one}" for _, one in sorted(found)]


def session_databases(ground: Ground) -> tuple[str, ...]:
    """The databases of wtmpdb(8), the newest first, with those that its ``rotate`` and logrotate(8) made of it."""
    found = [
        ((parts[1] or "99999999"), f"{folder}/{one}")
        for folder in _OF_DATABASES
        for one in ground.names(folder)
        if (parts := _DATABASE.fullmatch(one))
    ]
    return tuple(ground.tree.distinct([path for _, path in sorted(found, key=lambda one: one[0], reverse=True)]))


@contextmanager
def opened(ground: Ground, path: str) -> Iterator[LoginFile | None]:
    """A file of logins while it is looked at; None when it is not there or cannot be read, which is booked."""
    try:
        file = ground.tree.open(path)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        ground.failed(path, error)
        yield None
        return
    with file:
        yield _file(ground, path, file.fileno())


def records(ground: Ground, path: str, most: int) -> Iterator[utmp.Record]:
    """The records of a file, the newest first; what is not read is booked."""
    with opened(ground, path) as file:
        if file is None:
            return
        ground.tally.examined("files")
        if not file.size:
            return
        layout = utmp.layout_of(file.pread(_SAMPLE, 0), file.size)
        if layout is None:
            ground.tally.failed(utmp.NO_LAYOUT, path, "no layout of login records fits")
            return
        count = file.size // layout.size
        if count > most:
            ground.tally.skip(TOO_MANY, path, count=count - most)
        if file.size % layout.size:
            ground.tally.skip(NOT_UNDERSTOOD, f"{path}: a part of a record at its end")
        try:
            for record in utmp.backwards(file.pread, file.size, layout, most):
                if path.startswith(LOG) and not (record.type or record.time or record.user or record.line):
                    ground.tally.skip(WIPED, path)
                yield record
        except OSError as error:
            ground.failed(path, error)


def _file(ground: Ground, path: str, fd: int) -> LoginFile | None:
    try:
        size = os.fstat(fd).st_size
        new = decompressor_for(fd, DIRECT, every_kind=True)
        if new is None:
            return LoginFile(path, size, lambda count, place: os.pread(fd, count, place))
        expanded = Expanded(fd, size, ground.expired, new, minimum_bound=MAX_EXPANDED)
        content = _content(ground, path, expanded)
    except Unreadable as problem:
        ground.tally.failed(problem.reason, path, str(problem))
        return None
    except DeadlinePassed:
        ground.tally.skip(coverage.TIME, path)
        return None
    except OSError as error:
        ground.failed(path, error)
        return None
    return LoginFile(path, len(content), lambda count, place: content[place : place + count])


def _content(ground: Ground, path: str, expanded: Expanded) -> bytes:
    """What a compressed file holds, as far as there is room: these files begin with the oldest records."""
    made, view = io.BytesIO(), memoryview(bytearray(_PIECE))
    while count := expanded.fill(view):
        made.write(view[:count])
        if made.tell() > MAX_EXPANDED:
            ground.tally.failed(TOO_LARGE, path, "is larger than is read; its newest records are not known")
            break
    return made.getvalue()
