"""A member of an archive, as the archive describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mig_endpoint.files.archives.blob import AnyBlob

MAX_NAME = 64 << 10
"""Bytes of a name; the formats have no limit of their own (tar), or this one (zip)."""


SUFFIXES = (
    *(".zip", ".jar", ".war", ".ear", ".aar", ".sar", ".hpi", ".jpi", ".nbm", ".apk", ".xpi", ".whl", ".egg"),
    *(".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"),
)
"""What the name of an archive in another one ends with, in any case."""


class DamagedArchive(ValueError):
    """The archive contradicts itself; what was read of it so far counts."""


class Member(NamedTuple):
    """One member."""

    name: str
    """Its path in the archive, as :func:`os.fsdecode` gives it."""
    mode: int
    """As ``st_mode``; the kind is always there, the permissions are 0 where the archive does not say them."""
    size: int
    """Bytes, unpacked."""
    modified: int
    """Nanoseconds since 1970; zip files often say no time zone, then as if it were UTC."""
    place: AnyBlob | None = None
    """Its bytes as they lie in the archive, of what is an archive itself by its name."""
    method: int = 0
    """How they are packed: 0 not at all, else as the zip file says it."""

    @property
    def is_archive(self) -> bool:
        """Whether its name says so."""
        return is_archive_name(self.name)


def is_archive_name(name: str) -> bool:
    """Whether a member of this name is taken for an archive."""
    return name.casefold().endswith(SUFFIXES)
