"""Source: Python distributions, by their metadata as the packaging rules lay it: ``*.dist-info``, ``*.egg-info``.

Programs may have theirs in them, zipped (``zip_apps``). Eggs may be zipped; an ``egg-link`` leads to a source tree that
is installed by it. Of fields that stand there twice the first counts, as for pip and :mod:`importlib.metadata`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages import homes, reasons
from mig_endpoint.packages.search import Kind
from mig_pkg import zip_apps
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

MAX_METADATA = 1 << 16
PROJECT = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
"""Files of a source tree: what building it left there (``src/NAME.egg-info``) is no installation."""
PARTS = frozenset({"dist", "lib", "python", "src"})
"""Directories in a source tree where it is left too."""
SITES = frozenset({"site-packages", "dist-packages"})
"""Directories of distributions: a link of such a name is followed."""
_FIELD = re.compile(rb"^(name|version):[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_SEPARATORS = re.compile(r"[-_.]+")


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The distributions whose metadata lie in this directory, or in one of them to which a link in it leads."""
    for name in sorted(SITES.intersection(folder.links)):
        linked = search.linked(f"{folder.path}/{name}")
        if linked is not None and search.is_new(f"{linked.real}/"):
            yield from _distributions(search, linked)
    yield from _distributions(search, folder)


def _distributions(search: Search[Package], folder: Folder) -> Iterator[Package]:
    if search.is_named and folder.name.endswith((".dist-info", ".egg-info")):
        file = "METADATA" if folder.name.endswith(".dist-info") else "PKG-INFO"
        yield from search.read(folder, file, MAX_METADATA, _package)
        return
    if ".dist-info/" in folder.path or ".egg-info/" in folder.path:
        return  # licences of what it holds copies of
    names = "/".join(folder.names)  # quicker than a look at each
    if any(one in names for one in zip_apps.ENDINGS):
        yield from zip_apps.packages(search, folder, _package)
    if ".dist-info" not in names and ".egg" not in names:
        return
    inside = {*folder.directories, *folder.links}
    for name in folder.ending(".dist-info", ".egg-info", ".egg", ".egg-link"):
        if name.endswith(".dist-info") and name in inside:
            yield from search.read(folder, f"{name}/METADATA", MAX_METADATA, _package)
        elif name.endswith(".egg-info"):
            yield from _egg_info(search, folder, name)
        elif name.endswith(".egg"):
            yield from _egg(search, folder, name)
        elif name.endswith(".egg-link"):
            yield from _linked(search, folder, name)


def _egg_info(search: Search[Package], folder: Folder, name: str) -> Iterator[Package]:
    path, _ = folder.inner(name)
    if _is_project(search, folder):
        search.skip(reasons.NOT_INSTALLED, path)
    elif search.is_file(path):
        yield from search.read(folder, name, MAX_METADATA, _package)
    elif name in folder.directories or name in folder.links:
        yield from search.read(folder, f"{name}/PKG-INFO", MAX_METADATA, _package)


def _egg(search: Search[Package], folder: Folder, name: str) -> Iterator[Package]:
    path, real = folder.inner(name)
    if _is_project(search, folder):
        search.skip(reasons.NOT_INSTALLED, path)
        return
    member = "EGG-INFO/PKG-INFO"
    if name in folder.directories or not search.is_file(path):
        if search.is_file(f"{path}/{member}"):
            yield from search.read(folder, f"{name}/{member}", MAX_METADATA, _package)
        return
    with search.archive(path) as archive:
        if archive is None or not search.is_new(real):
            return
        try:
            yield from search.give(_package(archive.read(member, MAX_METADATA), path), path)
        except KeyError:
            return  # an egg of something else
        except (ValueError, OSError) as error:
            search.failed(path, error)


def _linked(search: Search[Package], folder: Folder, name: str) -> Iterator[Package]:
    """The distribution that an ``egg-link`` installs: its first line names the directory of the metadata."""
    written = search.content(folder, name, MAX_METADATA)
    place = os.fsdecode((written or b"").split(b"\n", 1)[0].strip())
    if not place:
        return
    tree = search.folder(os.path.normpath(os.path.join(folder.path, place)))
    if tree is None:
        return
    infos = [one for one in tree.names if one.endswith(".egg-info")]
    wanted = normal(name.removesuffix(".egg-link"))
    for one in [one for one in infos if normal(one.removesuffix(".egg-info")) == wanted] or infos:
        yield from search.read(tree, f"{one}/PKG-INFO", MAX_METADATA, _package)


def _is_project(search: Search[Package], folder: Folder) -> bool:
    if not PROJECT.isdisjoint(folder.names):
        return True
    if folder.name not in PARTS:
        return False
    return any(search.is_file(f"{os.path.dirname(folder.path)}/{one}") for one in PROJECT)


def normal(name: str) -> str:
    """The name in PEP 503's form, in which ``Foo.Bar``, ``foo_bar`` and ``foo-bar`` are one."""
    return _SEPARATORS.sub("-", name).lower()


def _package(raw: bytes, path: str) -> Package | None:
    head = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n", 1)[0]
    fields: dict[bytes, str] = {}
    for found in _FIELD.finditer(head):
        fields.setdefault(found[1].lower(), text(found[2]))
    name, version = fields.get(b"name", ""), fields.get(b"version", "")
    if not version or not is_usable(name, version):
        return None
    base = os.path.basename(path)
    return Package(
        name=name,
        plain=normal(name),
        version=version,
        type="python",
        path=os.path.dirname(path) if base in ("METADATA", "PKG-INFO") else path,
    )


SOURCE = Source(
    "python",
    (
        "*.dist-info/METADATA",
        "*.pex",
        "*.pyz",
        "*.egg-info",
        "*.egg-info/PKG-INFO",
        "*.egg/EGG-INFO/PKG-INFO",
        "*.egg",
        "*.egg-link",
    ),
    (),
    ("path",),
    kind=Kind(homes.patterns(homes.PYTHON, homes.PYTHON_SITES), look),
)
