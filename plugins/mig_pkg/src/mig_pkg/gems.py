"""Source: Ruby gems, by the specifications that RubyGems keeps of what it installed, and Bundler of what git gave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.packages import homes
from mig_endpoint.packages.search import Kind
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

DIRECTORY = "specifications"
DEFAULT = "default"
CHECKOUTS = "/bundler/gems"
"""Where Bundler keeps gems that it took from git, each with its specification in it."""
SUFFIX = ".gemspec"
MAX_SPECIFICATION = 1 << 16
_STUB = re.compile(rb"^# stub: (\S+) (\S+) (\S+)", re.MULTILINE)
_FIELD = re.compile(
    rb"^\s*s\w*\.(name|version)\s*=\s*(?:Gem::Version\.new\s*\(?\s*)?(?:%q[{(<\[]|['\"])([^'\"})>\]\n]*)", re.MULTILINE
)


def look(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The gems whose specifications lie in this directory."""
    outer, _, name = folder.path.rpartition("/")
    if name == DIRECTORY or (name == DEFAULT and outer.endswith(f"/{DIRECTORY}")) or outer.endswith(CHECKOUTS):
        yield from _specifications(search, folder)
    if search.is_home and DEFAULT in folder.directories:
        inner = search.folder(f"{folder.path}/{DEFAULT}")
        if inner is not None:
            yield from _specifications(search, inner)
    if DIRECTORY in folder.links:
        linked = search.linked(f"{folder.path}/{DIRECTORY}")
        if linked is not None:
            yield from _specifications(search, linked)


def _specifications(search: Search[Package], folder: Folder) -> Iterator[Package]:
    for name in folder.ending(SUFFIX):
        yield from search.read(folder, name, MAX_SPECIFICATION, _package)


def _package(raw: bytes, path: str) -> Package | None:
    stub = _STUB.search(raw[:4096])
    platform = ""
    if stub:
        name, version, platform = (text(one) for one in stub.groups())
    else:
        fields = {found[1]: text(found[2]) for found in _FIELD.finditer(raw)}
        name, version = fields.get(b"name", ""), fields.get(b"version", "")
    if not version or not is_usable(name, version, platform):
        return None
    arch = "" if platform == "ruby" else platform
    return Package(name=name, plain=name, version=version, type="gem", arch=arch, path=path)


SOURCE = Source("gem", ("*.gemspec",), (), ("path",), kind=Kind(homes.patterns(homes.GEM, homes.GEM_SITES), look))
