"""What ``dpkg -l`` prints, for a dpkg that cannot give its whole database. Used by ``dpkg``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import reasons
from mig_pkg.package import Package, is_usable, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.plugin.coverage import Tally

_SELECTIONS = {"u": "unknown", "i": "", "h": "hold", "r": "deinstall", "p": "purge"}
_STATES = {
    "n": "not-installed",
    "c": "config-files",
    "H": "half-installed",
    "U": "unpacked",
    "F": "half-configured",
    "W": "triggers-awaited",
    "t": "triggers-pending",
    "i": "installed",
}
_ABSENT = frozenset("nc")
_MISSING = "<none>"


def packages(lines: Iterable[bytes], where: str, tally: Tally) -> Iterator[Package]:
    """The packages in the lines after the table's head; ``where`` is the program."""
    count = 0
    is_head = True
    for line in lines:
        words = text(line).split(maxsplit=4)
        if is_head and (not words or not _is_row(words)):
            continue
        is_head = False
        if not words:
            continue
        if not _is_row(words):
            tally.skip(reasons.DAMAGED, where)
        elif words[0][1] not in _ABSENT:
            count += 1
            if count > MAX_PACKAGES:
                tally.skip(reasons.TOO_MANY, where)
            else:
                yield _package(words)


def _is_row(words: list[str]) -> bool:
    letters = words[0]
    return (
        len(words) >= 4
        and len(letters) in (2, 3)
        and letters[0] in _SELECTIONS
        and letters[1] in _STATES
        and letters[2:] in ("", "R")
        and is_usable(words[1], words[2], words[3])
    )


def _package(words: list[str]) -> Package:
    letters, name, version, arch = words[:4]
    return Package(
        name=name,
        plain=name.partition(":")[0],
        version="" if version == _MISSING else version,
        type="dpkg",
        arch="" if arch == _MISSING else arch,
        state=_STATES[letters[1]],
        selection=_SELECTIONS[letters[0]],
        reinstall=letters.endswith("R") and len(letters) == 3,
    )
