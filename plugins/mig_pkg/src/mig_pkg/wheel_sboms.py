"""Source: bills of materials in Python distributions (PEP 770): what was built into a wheel, crates and C libraries.

Read are CycloneDX and SPDX, as JSON. ``ecosystem`` is what a component's package URL (purl) says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mig_endpoint.packages import homes, reasons
from mig_endpoint.packages.search import Kind
from mig_pkg.package import MAX_VERSION, Package, is_usable
from mig_pkg.python_packages import normal
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON
    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

DIRECTORY = "sboms"
INFO = ".dist-info"
MAX_SBOM = 16 << 20
MAX_DEPTH = 20
"""Components in components."""
_ECOSYSTEMS = {
    "alpm": "pacman",
    "apk": "apk",
    "cargo": "cargo",
    "deb": "dpkg",
    "gem": "gem",
    "golang": "go",
    "maven": "jar",
    "npm": "npm",
    "pypi": "python",
    "rpm": "rpm",
}
"""purl's words that are types of packages here."""


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The components in the distributions of this directory."""
    if search.is_named and folder.name.endswith(INFO):
        yield from _documents(search, search.enter(folder, DIRECTORY))
    for name in folder.ending(INFO):
        yield from _documents(search, search.enter(folder, f"{name}/{DIRECTORY}"))


def _documents(search: Search[Package], folder: Folder | None) -> Iterator[Package]:
    if folder is None:
        return
    for name in sorted(folder.names):
        path, real = folder.inner(name)
        raw = search.content(folder, name, MAX_SBOM + 1)
        if raw is None or not search.is_new(real):
            continue
        if len(raw) > MAX_SBOM:
            search.skip(reasons.TOO_LARGE, path)
            continue
        try:
            found = set(_components(json.loads(raw)))
        except (ValueError, RecursionError):
            search.skip(reasons.DAMAGED, path)
            continue
        for component in sorted(found):
            yield from search.give(_package(*component, path), path)


def _components(document: JSON) -> Iterator[tuple[str, str, str]]:
    """Name, version and purl of each component.

    Raises:
        ValueError: the document is of no known form.
    """
    match document:
        case {"bomFormat": "CycloneDX", "components": list(components)}:
            yield from _cyclone(components, 0)
        case {"bomFormat": "CycloneDX"}:
            return
        case {"spdxVersion": str(), "packages": list(packages)}:
            yield from _spdx(packages)
        case _:
            raise ValueError("neither CycloneDX nor SPDX")


def _cyclone(components: list[JSON], depth: int) -> Iterator[tuple[str, str, str]]:
    if depth > MAX_DEPTH:
        raise ValueError("components lie too deep in one another")
    for component in components:
        if not isinstance(component, dict):
            continue
        name, group = _text(component.get("name")), _text(component.get("group"))
        if name:
            name = f"{group}/{name}" if group.startswith("@") else name
            yield name, _text(component.get("version")), _text(component.get("purl"))
        inner = component.get("components")
        if isinstance(inner, list):
            yield from _cyclone(inner, depth + 1)


def _spdx(packages: list[JSON]) -> Iterator[tuple[str, str, str]]:
    for package in packages:
        if isinstance(package, dict) and (name := _text(package.get("name"))):
            references = package.get("externalRefs")
            purls = [
                _text(one.get("referenceLocator"))
                for one in (references if isinstance(references, list) else ())
                if isinstance(one, dict) and one.get("referenceType") == "purl"
            ]
            yield name, _text(package.get("versionInfo")), purls[0] if purls else ""


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _package(name: str, version: str, purl: str, path: str) -> Package | None:
    ecosystem = _ECOSYSTEMS.get(purl.removeprefix("pkg:").partition("/")[0], "")
    name, version = (one.encode("utf-8", "replace").decode().strip() for one in (name, version))
    name = name.replace(" ", "-")
    if not is_usable(name, version[:MAX_VERSION]):
        return None
    plain = normal(name) if ecosystem == "python" else name
    return Package(name=name, plain=plain, version=version, type="sbom", ecosystem=ecosystem, path=path)


SOURCE = Source(
    "sbom",
    (f"*{INFO}/{DIRECTORY}/*",),
    (),
    ("ecosystem", "path"),
    kind=Kind(homes.patterns(homes.PYTHON, homes.PYTHON_SITES), look),
)
