"""Source: Python distributions, by their metadata (``*.dist-info``, ``*.egg-info``), as the packaging rules lay it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Search
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

_LIBRARIES = tuple(
    f"{prefix}/{lib}/python[23]*/{kind}"
    for prefix in ("/usr", "/usr/local")
    for lib in ("lib", "lib64")
    for kind in ("site-packages", "dist-packages")
)
USUAL = (
    *_LIBRARIES,
    "/opt/*/lib/python3*/site-packages",
    "/opt/*/*/lib/python3*/site-packages",
    "/opt/pipx/venvs/*/lib/python3*/site-packages",
    "/root/.local/lib/python3*/site-packages",
    "/root/.local/share/pipx/venvs/*/lib/python3*/site-packages",
    "/home/*/.local/lib/python3*/site-packages",
    "/home/*/.local/share/pipx/venvs/*/lib/python3*/site-packages",
)
MAX_METADATA = 1 << 16
_FIELD = re.compile(rb"^(name|version):[ \t]*(.*?)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


def installed(site: Site) -> Iterator[Package] | None:
    """The distributions, by directory; None when there is no directory of such packages."""
    return Search(site, _look).packages(USUAL)


def _look(search: Search[Package], directory: str, names: list[str]) -> Iterator[Package]:
    """The distributions whose metadata lie in this directory."""
    for name in names:
        where = f"{directory}/{name}"
        if name.endswith(".dist-info"):
            yield from search.read(f"{where}/METADATA", MAX_METADATA, _package)
        elif name.endswith(".egg-info"):
            files = (f"{where}/PKG-INFO", where)
            yield from search.read(next(filter(search.is_file, files), files[0]), MAX_METADATA, _package)
        elif name.endswith(".egg") and search.is_file(f"{where}/EGG-INFO/PKG-INFO"):
            yield from search.read(f"{where}/EGG-INFO/PKG-INFO", MAX_METADATA, _package)


def _package(raw: bytes, path: str) -> Package | None:
    head = _END_OF_HEAD.split(raw, maxsplit=1)[0]
    fields = {found[1].lower(): text(found[2]) for found in _FIELD.finditer(head)}
    name, version = fields.get(b"name", ""), fields.get(b"version", "")
    if not version or not is_usable(name, version):
        return None
    base = os.path.basename(path)
    return Package(
        name=name,
        plain=name,
        version=version,
        type="python",
        path=os.path.dirname(path) if base in ("METADATA", "PKG-INFO") else path,
    )


SOURCE = Source(
    "python",
    ("*.dist-info/METADATA", "*.egg-info", "*.egg-info/PKG-INFO", "*.egg/EGG-INFO/PKG-INFO"),
    USUAL,
    ("path",),
    installed,
)
