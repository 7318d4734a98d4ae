"""Source: Ruby gems, by the specifications that RubyGems keeps of what it installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Search
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

DIRECTORY = "specifications"
USUAL = tuple(
    f"{place}/{DIRECTORY}"
    for place in (
        "/usr/share/rubygems-integration/*",
        "/usr/share/gems",
        "/usr/share/ruby/gems/*",
        "/usr/lib/ruby/gems/*",
        "/usr/lib64/ruby/gems/*",
        "/usr/local/lib/ruby/gems/*",
        "/usr/local/bundle",
        "/var/lib/gems/*",
        "/opt/*/lib/ruby/gems/*",
        "/opt/*/embedded/lib/ruby/gems/*",
        "/root/.gem/ruby/*",
        "/root/.local/share/gem/ruby/*",
        "/root/.rbenv/versions/*/lib/ruby/gems/*",
        "/home/*/.gem/ruby/*",
        "/home/*/.local/share/gem/ruby/*",
        "/home/*/.rbenv/versions/*/lib/ruby/gems/*",
        "/home/*/.rvm/gems/*",
    )
)
SUFFIX = ".gemspec"
MAX_SPECIFICATION = 1 << 16
_STUB = re.compile(rb"^# stub: (\S+) (\S+) (\S+)", re.MULTILINE)
_FIELD = re.compile(
    rb"^\s*s\w*\.(name|version)\s*=\s*(?:Gem::Version\.new\s*\(?\s*)?(?:%q[{(<\[]|['\"])([^'\"})>\]\n]*)", re.MULTILINE
)


def installed(site: Site) -> Iterator[Package] | None:
    """The gems, by directory; None when there is no directory of them."""
    return Search(site, _look).packages((*USUAL, *(f"{one}/default" for one in USUAL)))


def _look(search: Search[Package], directory: str, names: list[str]) -> Iterator[Package]:
    """The gems whose specifications lie in this directory."""
    parts = directory.rsplit("/", 2)
    if DIRECTORY in (parts[-1], parts[-2]):
        for name in names:
            if name.endswith(SUFFIX):
                yield from search.read(f"{directory}/{name}", MAX_SPECIFICATION, _package)


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


SOURCE = Source("gem", ("*.gemspec",), USUAL, ("path",), installed)
