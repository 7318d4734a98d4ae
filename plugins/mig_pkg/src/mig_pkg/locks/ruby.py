"""``Gemfile.lock`` (``gems.locked``) of Bundler: what stands below ``specs``, but for the project's own paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GEM = re.compile(r"    ([^\s()]+) \(([0-9][^\s()]*)\)")
_OWN = "PATH"
_SECTIONS = frozenset({"GEM", "GIT", "PLUGIN SOURCE", _OWN})


def bundler(text: str) -> Iterator[tuple[str, str]]:
    """The gems; a version has the platform behind it where the gem was built for one (``1.16.2-x86_64-linux``).

    Raises:
        ValueError: it has none of the sections of such a file.
    """
    section = ""
    is_known = False
    for line in text.splitlines():
        if line[:1].strip():
            section = line.strip()
            is_known |= section in _SECTIONS or section == "DEPENDENCIES"
        elif section in _SECTIONS and section != _OWN and (gem := _GEM.fullmatch(line)):
            yield gem[1], gem[2].partition("-")[0]
    if not is_known:
        raise ValueError("no section of a Gemfile.lock")
