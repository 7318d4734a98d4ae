"""What the Go linker writes into every program it makes: the main module and all modules built into it.

The form is that of Go's ``debug/buildinfo`` (1.18 and newer: strings with a length before them; older ones: pointers,
which are not followed). Used by ``executables``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mig_pkg.elf import NotElf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_pkg.elf import Elf, Place

SECTION = b".go.buildinfo"
MAGIC = b"\xff Go buildinf:"
MAX_INFO = 8 << 20
"""Bytes of the text that lists the modules."""
MAX_SEARCH = 4 << 20
"""Bytes of the data segment that are searched for it where the section's name is gone."""
_ALIGN = 16
_HEADER = 32
_FLAG_INLINE = 2
_MARK = 16
"""Bytes before and after the text of modules, which the linker puts there."""


class GoModule(NamedTuple):
    """One module in a program."""

    name: str
    version: str
    """As ``go version -m`` prints it; ``(devel)`` for a main module that was built outside version control."""


class OlderForm(Exception):
    """The program is one of Go 1.17 or older, whose build information lies behind pointers."""


def build_info(elf: Elf) -> str | None:
    """The text that ``go version -m`` prints, without its first line; None when this is no Go program.

    Raises:
        OlderForm: there is one, in the form before Go 1.18.
        NotElf: what it says does not fit together.
        OSError: the file cannot be read.
    """
    place = elf.section(SECTION) or elf.writable_data()
    start = _start(elf, place) if place is not None else None
    if start is None:
        return None
    header = elf.read(start, _HEADER)
    if len(header) < _HEADER or not header[15] & _FLAG_INLINE:
        raise OlderForm
    go_version, after = _text(elf, start + _HEADER, 1000)
    if not go_version:
        raise NotElf
    modules, _ = _text(elf, after, MAX_INFO)
    if len(modules) >= 2 * _MARK + 1 and modules[-_MARK - 1 : -_MARK] == b"\n":
        modules = modules[_MARK:-_MARK]
    return f"go\t{go_version.decode('utf-8', 'replace')}\n{modules.decode('utf-8', 'replace')}"


def modules(info: str) -> Iterator[GoModule]:
    """The standard library (as ``stdlib``), the main module and those it was built from, replacements as built."""
    last: GoModule | None = None
    for line in info.split("\n"):
        words = line.split("\t")
        if words[0] == "=>" and last is not None and len(words) > 2:
            last = GoModule(words[1], words[2] or last.version)
            continue
        if last is not None:
            yield last
            last = None
        if words[0] == "go" and len(words) == 2:
            yield GoModule("stdlib", words[1].removeprefix("go").partition(" ")[0])
        elif words[0] in ("mod", "dep") and len(words) > 2:
            last = GoModule(words[1], words[2])
    if last is not None:
        yield last


def _start(elf: Elf, place: Place) -> int | None:
    """Where the magic stands, at a multiple of 16 bytes as the linker aligns it."""
    if not place.size:
        return None
    data = elf.read(place.offset, min(place.size, MAX_SEARCH))
    found = data.find(MAGIC)
    while found >= 0 and found % _ALIGN:
        found = data.find(MAGIC, found + 1)
    return place.offset + found if found >= 0 else None


def _text(elf: Elf, offset: int, limit: int) -> tuple[bytes, int]:
    """A string with its length before it (a variable-length integer of 7 bits a byte); and where it ends.

    Raises:
        NotElf: it is longer than ``limit``, or than the file.
    """
    raw = elf.read(offset, 10)
    length = shift = 0
    for place, byte in enumerate(raw):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            start = offset + place + 1
            found = elf.read(start, length) if 0 < length <= limit else b""
            if len(found) != length:
                raise NotElf
            return found, start + length
    raise NotElf
