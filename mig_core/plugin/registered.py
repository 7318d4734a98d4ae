"""What installed distributions register, read from their metadata's files without :mod:`importlib.metadata`.

That module costs 25 ms, which one module's run need not pay. :mod:`mig_core.plugin.manager` is the long way round.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

ENTRY_POINTS = "entry_points.txt"
METADATA = "METADATA"
FRESH = 2.0
"""Seconds in which two changes of a file may bear the same time, on the coarsest file systems there are."""
OLD_METADATA = "PKG-INFO"
"""Of an ``egg-info`` folder."""


class Distribution(NamedTuple):
    """What one distribution registers in some groups."""

    name: str
    summary: str
    points: tuple[tuple[str, str, str], ...]
    """Group, name and value of each entry point."""


def registered(group: str, name: str) -> list[str]:
    """What the installed distributions register as ``name``: their entry points' values, read as a file each."""
    return [
        value
        for folder in metadata_folders()
        for _, key, value in _points(_text(os.path.join(folder, ENTRY_POINTS)), (group,))
        if key == name
    ]


def metadata_folders() -> list[str]:
    """The folder of each installed distribution's metadata.

    Looks where :mod:`importlib.metadata` looks, distributions in archives excepted; of a distribution that is found
    twice the first counts.
    """
    folders = []
    seen = set()
    for folder in sys.path:
        for entry in _listed(folder):
            if not entry.endswith((".dist-info", ".egg-info")):
                continue
            project = entry.rpartition(".")[0].partition("-")[0].lower().replace("-", "_").replace(".", "_")
            if project not in seen:
                seen.add(project)
                folders.append(os.path.join(folder, entry))
    return folders


def distribution_in(folder: str, groups: Collection[str]) -> Distribution | None:
    """What the distribution with this folder of metadata registers in these groups; None: nothing."""
    points = tuple(_points(_text(os.path.join(folder, ENTRY_POINTS)), groups))
    if not points:
        return None
    text = _text(os.path.join(folder, METADATA)) or _text(os.path.join(folder, OLD_METADATA))
    head = dict(line.partition(": ")[::2] for line in text.partition("\n\n")[0].splitlines())
    return Distribution(head.get("Name", ""), head.get("Summary", ""), points)


Mark = list[int]
"""Device, inode, size, time of the last change of content and of anything; empty: there is no such file."""
Marks = list[tuple[str, list[Mark]]]
"""Path of a folder -> it, and the files in it that are read."""


def marks_of(folders: Sequence[str]) -> Marks:
    """By what a change is seen: the folders that are searched, then each distribution's metadata.

    Two that are equal, and of which the first :func:`is_settled`, say that nothing was installed, upgraded or removed.
    """
    return [(folder, [_mark(folder or ".")]) for folder in sys.path] + [
        (folder, [_mark(folder), _mark(os.path.join(folder, ENTRY_POINTS)), _mark(os.path.join(folder, METADATA))])
        for folder in folders
    ]


def is_settled(marks: Marks) -> bool:
    """Whether nothing changed so lately, or in the future, that a further change could bear the same time."""
    newest = (time.time() - FRESH) * 1e9
    return all(moment < newest for _, found in marks for mark in found for moment in mark[3:])


def _mark(path: str) -> Mark:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return []
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _listed(folder: str) -> list[str]:
    """The entries of a folder of ``sys.path``, where it is one; "" is the present one."""
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _points(text: str, groups: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of the entry points of some groups in an ``entry_points.txt``."""
    if not any(f"[{group}]" in text for group in groups):
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section in groups and not line.startswith("#"):
            key, equals, value = line.partition("=")
            if equals:
                yield section, key.strip(), value.strip()


def named(target: str) -> object:
    """Imports what ``package.module:Name [extras]`` names."""
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    found: object = importlib.import_module(module.strip())
    for part in filter(None, attribute.strip().split(".")):
        found = getattr(found, part)
    return found
