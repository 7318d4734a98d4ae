"""Source: Java archives, by what Maven wrote into them (``pom.properties``), their manifest, or their name.

One archive may hold many: those that were merged into it each with its ``pom.properties``, others packed in it as files
(``BOOT-INF/lib``, ``WEB-INF/lib``).
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages import reasons
from mig_endpoint.packages.search import Kind
from mig_endpoint.packages.zipped import Archive
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

ENDINGS = (".jar", ".war", ".ear")
MANIFEST = "META-INF/MANIFEST.MF"
MAX_MEMBER = 1 << 18
MAX_INNER = 64 << 20
"""Bytes of an archive in an archive."""
MAX_DEPTH = 3
"""Archives in archives."""
_POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_PROPERTY = re.compile(rb"^[ \t]*(groupId|artifactId|version)[ \t]*[=:][ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_NAMED = re.compile(r"(.+?)-([0-9][0-9A-Za-z]*(?:[._+-][0-9A-Za-z]+)*)")
_NAMES = ("bundle-symbolicname", "automatic-module-name", "implementation-title")
_VERSIONS = ("implementation-version", "bundle-version", "specification-version")


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The packages in the archives of this directory."""
    for name in folder.ending(*ENDINGS):
        path, _ = folder.inner(name)
        if name in folder.directories or not search.is_new_file(folder, name):
            continue
        with search.archive(path) as archive:
            if archive is not None:
                yield from _packages(search, archive, path, 0)


def _packages(search: Search[Package], archive: Archive, path: str, depth: int) -> Iterator[Package]:
    search.check_time()
    members = archive.names()
    poms = [one for one in members if _POM.fullmatch(one)]
    try:
        found = {one for pom in poms if (one := _of_pom(archive.read(pom, MAX_MEMBER), path)) is not None}
        found = found or {_of_manifest(archive.read(MANIFEST, MAX_MEMBER) if MANIFEST in members else b"", path)}
    except (KeyError, ValueError, OSError) as error:
        search.failed(path, error)
        return
    for package in sorted(found, key=lambda one: (one.name, one.version)):
        yield from search.give(package if is_usable(package.name, package.version) else None, path)
    for member in members:
        if member.endswith(ENDINGS):
            yield from _inner(search, archive, member, f"{path}!/{member}", depth + 1)


def _inner(search: Search[Package], outer: Archive, member: str, path: str, depth: int) -> Iterator[Package]:
    if depth > MAX_DEPTH:
        search.skip(reasons.DEPTH, path)
        return
    try:
        raw = outer.read(member, MAX_INNER + 1)
        if len(raw) > MAX_INNER:
            search.skip(reasons.TOO_LARGE, path)
            return
        archive = Archive(io.BytesIO(raw))
    except (KeyError, ValueError, OSError) as error:
        search.failed(path, error)
        return
    yield from _packages(search, archive, path, depth)


def _of_pom(raw: bytes, path: str) -> Package | None:
    """What Maven wrote of one artifact."""
    values = {found[1]: text(found[2]) for found in _PROPERTY.finditer(raw)}
    group, artifact, version = (values.get(key, "") for key in (b"groupId", b"artifactId", b"version"))
    if not artifact or not version or not is_usable(f"{group}:{artifact}", version):
        return None
    return _package(f"{group}:{artifact}" if group else artifact, artifact, version, path)


def _of_manifest(raw: bytes, path: str) -> Package:
    """What the manifest says (jar specification, "Main Attributes"); the file's name where it says nothing."""
    main = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")[0].replace(b"\n ", b"")
    values: dict[str, str] = {}
    for line in main.split(b"\n"):
        key, _, value = line.partition(b":")
        values.setdefault(text(key).lower(), text(value).strip())
    stem = os.path.splitext(os.path.basename(path))[0]
    named = _NAMED.fullmatch(stem)
    titles = [values[key].partition(";")[0].strip() for key in _NAMES if values.get(key)]
    names = [one for one in titles if is_usable(one, "")]
    versions = [values[key] for key in _VERSIONS if is_usable("x", values.get(key, " "))]
    version = versions[0] if versions else named[2] if named else ""
    plain = named[1] if named else stem
    return _package(names[0] if names else plain, plain, version, path)


def _package(name: str, plain: str, version: str, path: str) -> Package:
    return Package(name=name, plain=plain, version=version, type="jar", path=path)


SOURCE = Source("jar", ("META-INF/maven/*/*/pom.properties", MANIFEST), (), ("path",), kind=Kind((), look))
