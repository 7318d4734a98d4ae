"""Source: chisel, which cuts Ubuntu's packages into slices for small images and lists what it took.

The manifest is lines of JSON ("jsonwall"), compressed with zstd: a header, then one line for each package, slice, path
and content (https://documentation.ubuntu.com/chisel/, reference/manifest). A package is there if one slice of it is.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.compressed import Expanded, decompressor_for
from mig_endpoint.files.interruptions import DeadlinePassed, Unreadable
from mig_endpoint.packages.folder import TooLarge
from mig_endpoint.packages.search import MAX_PACKAGES
from mig_endpoint.packages.site import RanOutOfTime
from mig_pkg import reasons
from mig_pkg.package import Package, is_usable
from mig_pkg.records import lines
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

PLACE = "/var/lib/chisel"
MANIFEST = f"{PLACE}/manifest.wall"
MAX_MANIFEST = 256 << 20
"""Bytes of it, expanded."""
_CHUNK = 1 << 18
_PACKAGE = b'"kind":"package"'
_MAX_LINE = 1 << 16


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in the manifest's order; None when there is none."""
    return _read(site) if site.tree.exists(MANIFEST) else None


def _read(site: Site) -> Iterator[Package]:
    count = 0
    try:
        with site.booked(MANIFEST, f"is larger than {MAX_MANIFEST} bytes"):
            for line in lines(_pieces(site), _MAX_LINE):
                if _PACKAGE not in line:
                    continue
                package = _package(line)
                if package is None:
                    site.tally.skip(reasons.DAMAGED, MANIFEST)
                    continue
                count += 1
                if count > MAX_PACKAGES:
                    site.tally.skip(reasons.TOO_MANY, MANIFEST)
                    return
                yield package
    except DeadlinePassed:
        raise RanOutOfTime from None
    except Unreadable as error:
        site.tally.failed(reasons.UNREADABLE, MANIFEST, str(error))


def _pieces(site: Site) -> Iterator[bytes]:
    """The manifest, expanded.

    Raises:
        OSError: it cannot be read.
        Unreadable: it is damaged, or this Python has no zstd.
        DeadlinePassed: time ran out.
        TooLarge: it is larger than :data:`MAX_MANIFEST`.
    """
    with site.tree.open(MANIFEST) as file:
        descriptor = file.fileno()
        new = decompressor_for(descriptor, DIRECT, every_kind=True)
        if new is None:
            raise Unreadable(reasons.DAMAGED, "is not compressed as chisel's manifests are")
        size = os.fstat(descriptor).st_size
        content = Expanded(descriptor, size, lambda: site.remaining() <= 0, new)
        view = memoryview(bytearray(_CHUNK))
        left = MAX_MANIFEST
        while filled := content.fill(view):
            left -= filled
            yield bytes(view[:filled])
            if left < 0:
                raise TooLarge(MANIFEST)


def _package(line: bytes) -> Package | None:
    try:
        said = json.loads(line)
        name, version, arch = said["name"], said["version"], said.get("arch", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not all(isinstance(one, str) for one in (name, version, arch)) or not is_usable(name, version, arch):
        return None
    return Package(name=name, plain=name, version=version, type="chisel", arch=arch)


SOURCE = Source("chisel", ("manifest.wall",), (PLACE,), (), installed)
