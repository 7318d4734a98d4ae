"""Databases of package managers that nothing here reads: that there is one is said, so that no answer leaves it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_pkg import reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_endpoint.packages.site import Site

DATABASES: Mapping[str, tuple[str, ...]] = {
    "Nix": ("/nix/var/nix/db",),
    "Guix": ("/var/guix/db",),
    "Homebrew": ("/home/linuxbrew/.linuxbrew/Cellar",),
    "Portage": ("/var/db/pkg",),
    "XBPS": ("/var/db/xbps",),
    "Slackware's pkgtools": ("/var/lib/pkgtools/packages", "/var/log/packages"),
    "eopkg": ("/var/lib/eopkg/package",),
    "swupd": ("/usr/share/clear/bundles",),
    "CRUX's pkgutils": ("/var/lib/pkg/db",),
}
"""By manager: where it keeps what is installed (the managers' manuals)."""


def book(site: Site) -> None:
    """Books each of them that is there."""
    for manager, places in DATABASES.items():
        for place in places:
            if site.tree.exists(place):
                site.tally.skip(reasons.NOT_READ, f"{place} ({manager})")
                break
