"""The crates a Rust program was built from, where it was built with cargo-auditable (or a distribution that uses it).

They stand as JSON, compressed with zlib, in the section ``.dep-v0``
(https://github.com/rust-secure-code/cargo-auditable, PARSING.md). Used by ``executables``.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mig_pkg.elf import Elf

SECTION = b".dep-v0"
MAX_COMPRESSED = 2 << 20
MAX_JSON = 4 << 20


class Crate(NamedTuple):
    """One crate in a program."""

    name: str
    version: str


class Damaged(Exception):
    """The section is there and cannot be understood."""


def crates(elf: Elf) -> list[Crate] | None:
    """What was built into the program at run time (not what only its build used); None when nothing is said.

    Raises:
        Damaged: it is said and cannot be understood.
        OSError: the file cannot be read.
    """
    place = elf.section(SECTION)
    if place is None:
        return None
    if place.size > MAX_COMPRESSED:
        raise Damaged
    try:
        engine = zlib.decompressobj()
        raw = engine.decompress(elf.read(place.offset, place.size), MAX_JSON)
        if not engine.eof:
            raise Damaged
        listed = json.loads(raw)["packages"]
        return [
            Crate(str(one["name"]), str(one["version"])) for one in listed if one.get("kind", "runtime") == "runtime"
        ]
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged from error
