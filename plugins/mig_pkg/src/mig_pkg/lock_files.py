"""Source: lock files, which say what a project is to be installed with, whether that has happened here or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages import reasons
from mig_endpoint.packages.search import Kind
from mig_pkg.locks import FORMATS, NOT_READ
from mig_pkg.package import Package, is_usable
from mig_pkg.python_packages import normal
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

MAX_LOCK = 16 << 20
_NAMES = FORMATS.keys() | NOT_READ
_VARIED = tuple((*name.split("*"), name) for name in FORMATS if "*" in name)
"""Beginning, end and pattern of names that have something of their own in the middle."""


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """What the lock files of this directory name."""
    if "node_modules" in folder.path.split("/") and not search.is_named:
        return  # what a package's authors left in it: nothing reads that
    known = {name: name for name in _NAMES.intersection(folder.names)}
    for start, end, pattern in _VARIED:
        fits = (name for name in folder.ending(end) if name.startswith(start) and len(name) > len(start) + len(end))
        known.update((name, pattern) for name in fits)
    for name, pattern in sorted(known.items()):
        if name in NOT_READ:
            search.skip(reasons.DAMAGED, folder.inner(name)[0])
        elif search.is_new_file(folder, name):
            yield from _locked(search, folder, name, pattern)


def _locked(search: Search[Package], folder: Folder, name: str, pattern: str) -> Iterator[Package]:
    path, _ = folder.inner(name)
    raw = search.content(folder, name, MAX_LOCK + 1)
    if raw is None:
        return
    if len(raw) > MAX_LOCK:
        search.skip(reasons.TOO_LARGE, path)
        return
    ecosystem, read = FORMATS[pattern]
    try:
        locked = sorted(set(read(raw.decode("utf-8-sig", "replace"))))
    except (ValueError, RecursionError):
        search.skip(reasons.DAMAGED, path)
        return
    for name, version in locked:
        yield from search.give(_package(name, version, ecosystem, path), path)


def _package(name: str, version: str, ecosystem: str, path: str) -> Package | None:
    name, version = (one.encode("utf-8", "replace").decode() for one in (name, version))
    if not version or not is_usable(name, version):
        return None
    plain = normal(name) if ecosystem == "python" else name
    return Package(name=name, plain=plain, version=version, type="lockfile", ecosystem=ecosystem, path=path)


SOURCE = Source("lockfile", tuple(FORMATS), (), ("ecosystem", "path"), kind=Kind((), look))
