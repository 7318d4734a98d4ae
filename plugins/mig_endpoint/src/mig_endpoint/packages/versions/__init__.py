"""Which of two versions is newer, by the rules of each package manager: one file for each set of rules.

Every file offers ``compare(left, right)``: negative, zero or positive, and ValueError for a text that is no version of
that kind. ``COMPARE`` maps a package's type to its rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.versions import alpine, arch, conda, debian, gem, golang, maven, pep440, redhat, semver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMPARE: Mapping[str, Callable[[str, str], int]] = {
    "dpkg": debian.compare,
    "rpm": redhat.compare,
    "apk": alpine.compare,
    "pacman": arch.compare,
    "python": pep440.compare,
    "npm": semver.compare,
    "gem": gem.compare,
    "conda": conda.compare,
    "opkg": debian.compare,
    "snap": debian.compare,
    "flatpak": debian.compare,
    "chisel": debian.compare,
    "go": golang.compare,
    "cargo": semver.compare,
    "jar": maven.compare,
    "sbom": debian.compare,
}
ECOSYSTEMS: Mapping[str, tuple[str, ...]] = {
    "lockfile": ("npm", "python", "cargo", "go", "gem"),
    "sbom": tuple(COMPARE),
}
"""Types whose packages are of several kinds: each is compared by the rules of its own."""


def is_version(kind: str, text: str) -> bool:
    """Whether ``text`` is a version by the rules of packages of type ``kind``, or of one of the kinds it stands for."""
    return any(_is_version(one, text) for one in ECOSYSTEMS.get(kind, (kind,)))


def _is_version(kind: str, text: str) -> bool:
    try:
        COMPARE[kind](text, text)
    except ValueError:
        return False
    return True
