"""What is installed, remembered between two commands of an investigator: name, distribution and summary of each plugin.

Reading the metadata of all distributions costs ``mig`` 25 ms each time. The index costs 2 ms: it is used while every
folder of ``sys.path`` and the metadata of every distribution in it are as they were when it was written (inode, size,
time of change), so a plugin that was installed, upgraded or removed a moment ago is seen at once. It is not written
while something is so fresh that its next change could bear the same time.

It lies in ``$XDG_CACHE_HOME/mig``, else ``~/.cache/mig``, and names code that will be imported: so it is believed only
where nobody but this user can have written it. Where it cannot be written, or is damaged, everything works as without.
Agents do not use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from mig_core.plugin.registered import distribution_in, is_settled, marks_of, metadata_folders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.plugin.registered import Marks

FORM = 1
"""Of the file; another one is not read."""
MAX_BYTES = 4 << 20
GROUPS = ("mig.modules", "mig.cli")


class Entry(NamedTuple):
    """A word of ``mig`` that a plugin brings."""

    group: str
    name: str
    value: str
    """``package.module:attribute``."""
    distribution: str
    summary: str


def installed_words(environment: Mapping[str, str] = os.environ) -> tuple[Entry, ...]:
    """All modules and commands of installed plugins: from the index if it is true, else read and remembered."""
    path = _path(environment)
    known = _read(path) if path else None
    if known is not None:
        return known
    if any(os.path.isfile(folder) for folder in sys.path):
        return _the_long_way()
    before = marks_of(folders := metadata_folders())
    distributions = [found for folder in folders if (found := distribution_in(folder, GROUPS)) is not None]
    entries = tuple(Entry(*point, one.name, one.summary) for one in distributions for point in one.points)
    if path and is_settled(before) and before == marks_of(metadata_folders()):
        _write(path, before, entries)
    return entries


def _the_long_way() -> tuple[Entry, ...]:
    """Where distributions may lie in archives, of which this file knows nothing."""
    from mig_core.plugin.manager import installed

    found = [one for group in GROUPS for one in installed(group)]
    return tuple(Entry(one.group, one.name, one.value, one.distribution, one.summary) for one in found)


def _still(state: Marks) -> bool:
    """Whether everything is as it was: no folder has other entries, no distribution other metadata."""
    remembered = [(str(path), marks) for path, marks in state]
    if [path for path, _ in remembered[: len(sys.path)]] != sys.path:
        return False
    return remembered == marks_of([path for path, _ in remembered[len(sys.path) :]])


def _path(environment: Mapping[str, str]) -> str:
    """Where the index of this interpreter lies; empty: nowhere."""
    given = environment.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")
    folder = given if given.startswith("/") else os.path.join(home, ".cache")
    if not folder.startswith("/"):
        return ""
    which = f"{sys.implementation.cache_tag}-{sys.prefix}".replace("/", "%")
    return os.path.join(folder, "mig", f"plugins-{which[-200:]}.json")


def _private(found: os.stat_result) -> bool:
    """Whether nobody but this user can have changed it."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _ours(folder: str) -> bool:
    """Whether nobody else can have put a file into the folder, or the folder into its own."""
    above = os.stat(os.path.dirname(folder))
    sticky = above.st_mode & stat.S_ISVTX
    if above.st_uid not in (0, os.geteuid()) or (above.st_mode & 0o022 and not sticky):
        return False
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and _private(found)


def _read(path: str) -> tuple[Entry, ...] | None:
    """The index, if it is ours alone, whole, and true; else None."""
    try:
        if not _ours(os.path.dirname(path)):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _private(found):
            return None
        raw = file.read(MAX_BYTES)
    try:
        document = json.loads(raw)
        if document["form"] != FORM or not _still(document["state"]):
            return None
        return tuple(Entry(*map(str, one)) for one in document["entries"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(path: str, state: Marks, entries: tuple[Entry, ...]) -> None:
    """Puts the index there in one step; where that is not possible, the next command reads everything again."""
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        if os.stat(os.path.dirname(folder)).st_uid == os.geteuid():
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        if not _ours(folder):
            return
        fresh = f"{path}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with open(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump({"form": FORM, "state": state, "entries": entries}, file)
            os.replace(fresh, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise
