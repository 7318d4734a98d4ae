"""Source: conda packages, by the record that conda, mamba, micromamba, pixi and rattler keep of each in an environment.

They need not be Python's: compilers, OpenSSL and whole language runtimes are installed so, beside the system's own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mig_endpoint.packages import homes
from mig_endpoint.packages.search import Kind
from mig_pkg.package import Package, is_usable
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

DIRECTORY = "conda-meta"
MAX_RECORD = 32 << 20
"""A record lists every file of its package."""


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The packages whose records lie in this directory, or in the one that an environment has for them."""
    if folder.name == DIRECTORY:
        records: Folder | None = folder
    elif DIRECTORY in folder.names:
        records = search.enter(folder, DIRECTORY)
    else:
        return
    if records is not None:
        for name in records.ending(".json"):
            yield from search.read(records, name, MAX_RECORD, _package)


def _package(raw: bytes, path: str) -> Package | None:
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    name, version, arch = record.get("name"), record.get("version"), record.get("subdir")
    if not isinstance(name, str) or not isinstance(version, str) or not version or not is_usable(name, version):
        return None
    name, version = (one.encode("utf-8", "replace").decode() for one in (name, version))
    arch = arch if isinstance(arch, str) and is_usable(name, arch) else ""
    return Package(name=name, plain=name, version=version, type="conda", arch=arch, path=path)


SOURCE = Source(
    "conda", ("conda-meta/*.json",), (), ("path",), kind=Kind(homes.patterns(homes.CONDA, (DIRECTORY,)), look)
)
