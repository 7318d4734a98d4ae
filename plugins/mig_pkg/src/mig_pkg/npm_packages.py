"""Source: npm packages, by the ``package.json`` of each directory in a ``node_modules``.

pnpm, bun, deno and yarn keep the directories elsewhere (``.pnpm``, ``.bun``, ``.deno``, ``.store``, or a store for all
projects) and put links into ``node_modules``: those are followed, and each directory is given once, by its own path.
deno and bun run packages from their caches too, in which they lie by name and version. Yarn's Plug'n'Play has no
``node_modules`` at all; ``plug_and_play`` reads that.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mig_endpoint.packages import homes, reasons
from mig_endpoint.packages.caches import NUMBERED, REGISTRY, is_run_from
from mig_endpoint.packages.search import Kind
from mig_pkg import plug_and_play
from mig_pkg.package import Package, is_usable
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

MODULES = "node_modules"
DESCRIPTION = "package.json"
STORES = frozenset({".pnpm", ".bun", ".store", ".deno"})
ZIPPED = ("/.yarn/cache", "/.yarn/berry/cache")
"""Where Yarn keeps packages as zip files, of a project and of all; ``.pnp.cjs`` says which are installed."""
SHARED = STORES | {"links"}
"""Parts of paths in stores, where what a package needs lies beside it."""
MAX_DESCRIPTION = 1 << 20


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The packages in this directory, if it is one of packages, and in theirs."""
    if REGISTRY in folder.names:
        yield from _versions(search, folder)
    if folder.name == MODULES or search.is_home or any("@@@" in name for name in folder.directories):
        yield from _modules(search, [folder])
        return
    if search.is_named and (MODULES in folder.path.split("/") or is_run_from(folder)):
        yield from _named(search, folder)
    if MODULES in folder.names and MODULES not in folder.directories:
        linked = search.linked(f"{folder.path}/{MODULES}")
        yield from _modules(search, [linked] if linked else [])
    if folder.path.endswith(ZIPPED):
        project = folder.path.rpartition("/.yarn/")[0]
        if folder.ending(".zip") and not any(search.is_file(f"{project}/{one}") for one in plug_and_play.STATES):
            search.skip(reasons.NOT_INSTALLED, folder.path)
    if any(state in folder.names for state in plug_and_play.STATES):
        yield from plug_and_play.packages(search, folder, described)


def _named(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """A scope, or a package, whose own path was asked for."""
    if folder.name.startswith("@"):
        yield from _modules(search, [folder])
    elif _is_in_modules(folder.path) or _is_in_modules(folder.real) or is_run_from(folder):
        yield from search.read(folder, DESCRIPTION, MAX_DESCRIPTION, described, optional=True)


def _versions(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """A package's versions in deno's cache, each in a directory of its own."""
    if not search.is_new(f"{folder.real}/"):
        return
    bundled: list[Folder] = []
    for name in filter(NUMBERED.fullmatch, folder.directories):
        yield from search.read(folder, f"{name}/{DESCRIPTION}", MAX_DESCRIPTION, described, optional=True)
        _add(bundled, search.enter(folder, f"{name}/{MODULES}"))
    yield from _modules(search, bundled)


def _modules(search: Search[Package], ahead: list[Folder]) -> Iterator[Package]:
    """The packages in directories of them, and in all that these lead to."""
    while ahead:
        folder = ahead.pop()
        if not search.is_new(f"{folder.real}/"):
            continue
        for name in sorted(folder.names):
            if name.startswith("@"):
                _add(ahead, search.enter(folder, name))
            elif name in STORES:
                yield from _store(search, search.enter(folder, name), ahead)
            elif name.startswith("."):
                continue
            elif name in folder.directories:
                yield from search.read(folder, f"{name}/{DESCRIPTION}", MAX_DESCRIPTION, described, optional=True)
                _add(ahead, search.enter(folder, f"{name}/{MODULES}"))
            else:
                yield from _linked(search, search.linked(f"{folder.path}/{name}"), ahead)


def _store(search: Search[Package], store: Folder | None, ahead: list[Folder]) -> Iterator[Package]:
    """What a project's packages really are: each in a directory of its own, beside links to what it needs."""
    if store is None:
        return
    for name in store.directories:
        if name == MODULES:
            _add(ahead, search.enter(store, name))
            continue
        _add(ahead, search.enter(store, f"{name}/{MODULES}"))
        yield from search.read(store, f"{name}/package/{DESCRIPTION}", MAX_DESCRIPTION, described, optional=True)


def _linked(search: Search[Package], package: Folder | None, ahead: list[Folder]) -> Iterator[Package]:
    """The package that a link leads to, and what lies beside it in a store."""
    if package is None or DESCRIPTION not in package.names:
        return
    if _is_in_modules(package.path):
        parts = package.path.split("/")
        beside = "/".join(parts[: -2 if parts[-2].startswith("@") else -1])
        if not SHARED.isdisjoint(parts):
            _add(ahead, search.folder(beside))
        yield from search.read(package, DESCRIPTION, MAX_DESCRIPTION, described)
    elif not _is_private(search.content(package, DESCRIPTION, MAX_DESCRIPTION)):
        yield from search.read(package, DESCRIPTION, MAX_DESCRIPTION, described)
    _add(ahead, search.enter(package, MODULES))


def _add(ahead: list[Folder], folder: Folder | None) -> None:
    if folder is not None:
        ahead.append(folder)


def _is_in_modules(path: str) -> bool:
    """Whether this is the path of an installed package: ``…/node_modules/NAME``, or ``…/node_modules/@SCOPE/NAME``."""
    parts = path.split("/")
    return MODULES in parts[-2:-1] or (MODULES in parts[-3:-2] and parts[-2].startswith("@"))


def _is_private(raw: bytes | None) -> bool:
    """Whether a package that lies outside every ``node_modules`` is never published: a project's own workspace."""
    try:
        package = json.loads(raw or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(package, dict) and package.get("private") is True


def described(raw: bytes, path: str) -> Package | None:
    """The package that a ``package.json`` describes; None when it has no name or version."""
    try:
        package = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(package, dict):
        return None
    name, version = package.get("name"), package.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not version or not is_usable(name, version):
        return None
    name, version = (one.encode("utf-8", "replace").decode() for one in (name, version))
    return Package(name=name, plain=name, version=version, type="npm", path=os.path.dirname(path))


SOURCE = Source(
    "npm",
    ("*/package.json", "@*/*/package.json", ".pnp.cjs", ".pnp.js", "*.zip"),
    (),
    ("path",),
    kind=Kind(homes.patterns(homes.NPM), look),
)
