"""What ``cargo install`` has put into a directory: its own record, ``.crates.toml``, beside ``bin``.

Each line names a crate with its version and where it is from, whether the program itself says so or not. Used by
``executables``. Seen with cargo 1.95, which writes the same into ``.crates2.json``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_pkg.cargo_audit import Crate

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = ".crates.toml"
MAX_RECORD = 4 << 20
_INSTALLED = re.compile(r'"([^\s"]+) ([^\s"]+) \([^"]*\)"\s*=')


def crates(raw: bytes) -> Iterator[Crate]:
    """The crates.

    Raises:
        ValueError: it is no such record.
    """
    text = raw.decode("utf-8", "replace")
    if "[v1]" not in text:
        raise ValueError("no record of cargo install")
    for line in text.partition("[v1]")[2].splitlines():
        if line.strip() and not line.startswith("["):
            found = _INSTALLED.match(line)
            if found is None:
                if line.startswith((" ", "\t", "]")):  # the rest of a list of programs
                    continue
                raise ValueError(f"{line!r:.80} names no crate")
            yield Crate(found[1], found[2])
