"""Python distributions inside programs that are zip files: PEX (pex, pants), shiv, zipapp.

Such a program unpacks itself below its user's cache when it is run first; until then this is the only place where its
distributions are. They may be unpacked in it, or wheels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search
    from mig_endpoint.packages.zipped import Archive
    from mig_pkg.package import Package

    Describe = Callable[[bytes, str], Package | None]

ENDINGS = (".pex", ".pyz")
MAX_METADATA = 1 << 16
_PYINSTALLER = b"PYZ\0"
"""How an archive of PyInstaller's begins, which has that ending too and holds modules without their metadata."""
_UNPACKED = re.compile(r"(?:(?!\.dist-info/).)*\.dist-info/METADATA")
"""Not in another's, where licences of what that holds copies of may lie."""
_WHEEL = re.compile(r"(?:.*/)?([^/-]+)-([^/-]+)(?:-[^/-]+){3,4}\.whl")


def packages(search: Search[Package], folder: Folder, describe: Describe) -> Iterator[Package]:
    """The distributions in this directory's programs. A ``.pex`` may be a directory as well, and that is walked."""
    for name in folder.ending(*ENDINGS):
        path, real = folder.inner(name)
        if search.is_file(path) and search.content(folder, name, len(_PYINSTALLER)) != _PYINSTALLER:
            with search.archive(path) as archive:
                if archive is not None and search.is_new(real):
                    yield from _inside(search, archive, path, describe)


def _inside(search: Search[Package], archive: Archive, path: str, describe: Describe) -> Iterator[Package]:
    for member in archive.names():
        inner = f"{path}/{member}"
        if wheel := _WHEEL.fullmatch(member):
            yield from search.give(describe(f"Name: {wheel[1]}\nVersion: {wheel[2]}\n".encode(), inner), inner)
        elif _UNPACKED.fullmatch(member):
            search.check_time()
            try:
                raw = archive.read(member, MAX_METADATA)
            except (ValueError, KeyError, OSError) as error:
                search.failed(inner, error)
            else:
                yield from search.give(describe(raw, inner), inner)
