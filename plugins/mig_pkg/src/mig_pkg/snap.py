"""Source: snap. Each installed revision is a file system image, mounted with its ``meta/snap.yaml`` in it.

An image that is not mounted (on a disk that is looked at from elsewhere, always) keeps its version to itself: it is in
the answer without one, and the answer says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_pkg import reasons
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

IMAGES = "/var/lib/snapd/snaps"
MOUNTS = ("/snap", "/var/lib/snapd/snap")
"""Where images are mounted: ``NAME/REVISION``; ``NAME/current`` is a link to the one in use."""
DISABLED = "disabled"
"""The state of a revision that is kept and not in use."""
MAX_META = 1 << 18
_IMAGE = re.compile(r"(?P<name>[a-z0-9-]+(?:_[a-z0-9]+)?)_(?P<revision>x?[0-9]+)\.snap")
_FIELD = re.compile(rb"^(name|version):[ \t]*['\"]?([^'\"\n#]*)", re.MULTILINE)
_ARCH = re.compile(rb"^architectures:[ \t]*(?:\[\s*([\w-]+)|\n[ \t]*-[ \t]*([\w-]+))", re.MULTILINE)


def installed(site: Site) -> Iterator[Package] | None:
    """The snaps by name, revision by revision; None when there is none."""
    if not site.tree.exists(IMAGES):
        return None
    return _all(site)


def _all(site: Site) -> Iterator[Package]:
    names: list[str] = []
    with site.booked(IMAGES):
        names = site.tree.names(IMAGES)
    for file in names:
        site.check_time()
        found = _IMAGE.fullmatch(file)
        if found is not None:
            yield _package(site, found["name"], found["revision"], f"{IMAGES}/{file}")
        elif file.endswith(".snap"):
            site.tally.skip(reasons.DAMAGED, f"{IMAGES}/{file}")


def _package(site: Site, name: str, revision: str, image: str) -> Package:
    state = ""
    for mount in MOUNTS:
        place = f"{mount}/{name}"
        if site.tree.exists(f"{place}/current") and not _leads_to(site, f"{place}/current", f"{place}/{revision}"):
            state = DISABLED
        try:
            meta = site.head(f"{place}/{revision}/meta/snap.yaml", MAX_META)
        except OSError:
            continue
        fields = {one[1]: text(one[2]).strip() for one in _FIELD.finditer(meta)}
        arch = _ARCH.search(meta)
        version = fields.get(b"version", "")
        if is_usable(name, version):
            shown = text(arch[1] or arch[2]) if arch else ""
            return Package(name=name, plain=name, version=version, type="snap", arch=shown, state=state, path=image)
        site.tally.skip(reasons.DAMAGED, f"{place}/{revision}/meta/snap.yaml")
        break
    else:
        site.tally.failed(reasons.UNREADABLE, image, "is not mounted, so its version cannot be read")
    return Package(name=name, plain=name, version="", type="snap", state=state, path=image)


def _leads_to(site: Site, link: str, place: str) -> bool:
    try:
        return site.tree.real(link) == site.tree.real(place)
    except OSError:
        return False


SOURCE = Source("snap", ("*.snap", "meta/snap.yaml"), (IMAGES, *MOUNTS), ("state", "path"), installed)
