"""Source: npm packages, by the ``package.json`` of each directory in a ``node_modules``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Search
from mig_pkg.package import Package, is_usable
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

USUAL = (
    "/usr/lib/node_modules",
    "/usr/local/lib/node_modules",
    "/usr/share/nodejs",
    "/usr/share/node_modules",
    "/opt/*/lib/node_modules",
    "/root/.npm-global/lib/node_modules",
    "/root/.nvm/versions/node/*/lib/node_modules",
    "/home/*/.npm-global/lib/node_modules",
    "/home/*/.nvm/versions/node/*/lib/node_modules",
)
MODULES = "node_modules"
MAX_DESCRIPTION = 1 << 20
MAX_DEPTH = 40
"""Packages inside packages."""


def installed(site: Site) -> Iterator[Package] | None:
    """The packages, by directory; None when there is no directory of such packages."""
    return Search(site, _look).packages(USUAL)


def _look(search: Search[Package], directory: str, names: list[str]) -> Iterator[Package]:
    """The packages in this directory, if it is one of packages, and in theirs."""
    if os.path.basename(directory) == MODULES or directory in search.places:
        yield from _modules(search, directory, names, 0)


def _modules(search: Search[Package], directory: str, names: list[str], depth: int) -> Iterator[Package]:
    if depth > MAX_DEPTH:
        search.too_deep(directory)
        return
    for name in names:
        where = f"{directory}/{name}"
        if name.startswith("."):
            continue
        if name.startswith("@"):
            yield from _modules(search, where, search.names(where), depth + 1)
            continue
        file = f"{where}/package.json"
        if search.is_file(file):
            yield from search.read(file, MAX_DESCRIPTION, _package)
        inner = f"{where}/{MODULES}"
        if search.is_directory(inner) and search.is_new(inner):
            yield from _modules(search, inner, search.names(inner), depth + 1)


def _package(raw: bytes, path: str) -> Package | None:
    try:
        described = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(described, dict):
        return None
    name, version = described.get("name"), described.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not version or not is_usable(name, version):
        return None
    name, version = (one.encode("utf-8", "replace").decode() for one in (name, version))
    return Package(name=name, plain=name, version=version, type="npm", path=os.path.dirname(path))


SOURCE = Source("npm", ("*/package.json", "@*/*/package.json"), USUAL, ("path",), installed)
