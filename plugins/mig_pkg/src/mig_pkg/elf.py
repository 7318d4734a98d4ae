"""What an ELF file's headers say: its sections by name, and its writable data (elf(5), gABI chapter 4).

For the sources that find packages inside executables. Everything read is hostile: offsets and sizes are checked against
the file and bounded before anything is read.
"""

from __future__ import annotations

import os
import struct

from mig_core.records import dataclass

MAGIC = b"\x7fELF"
MAX_SECTIONS = 10_000
MAX_SEGMENTS = 1_000
MAX_NAMES = 1 << 20
"""Bytes of the table of section names that are read."""
_PT_LOAD = 1
_PF_W = 2
_SHT_NOBITS = 8


class NotElf(Exception):
    """The file is not an ELF file, or its headers do not fit together."""


@dataclass(frozen=True, slots=True)
class Place:
    """A range of the file: where it begins and how many bytes it has."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How one class of ELF file (32 or 64 bit) writes its headers."""

    header: str
    section: str
    segment: str
    flags_last: bool


_FORMS = {
    1: _Form("HHIIIIIHHHHHH", "IIIIIIIIII", "IIIIIIII", flags_last=True),
    2: _Form("HHIQQQIHHHHHH", "IIQQQQIIQQ", "IIQQQQQQ", flags_last=False),
}


class Elf:
    """The headers of one open ELF file.

    Raises:
        NotElf: it is none.
        OSError: it cannot be read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        ident = os.pread(descriptor, 16, 0)
        form = _FORMS.get(ident[4]) if len(ident) == 16 and ident.startswith(MAGIC) else None
        if form is None or ident[5] not in (1, 2):
            raise NotElf
        self._order = "<" if ident[5] == 1 else ">"
        self._form = form
        fields = self._unpack(form.header, 16)
        self._phoff, self._shoff = fields[4], fields[5]
        self._phentsize, self._phnum, self._shentsize, self._shnum, self._shstrndx = fields[8:13]

    def section(self, name: bytes) -> Place | None:
        """The section of this name that has bytes in the file; None when there is none.

        Raises:
            NotElf: the headers do not fit together.
        """
        if not self._shoff:
            return None
        if self._shnum > MAX_SECTIONS or self._shstrndx >= self._shnum:
            raise NotElf
        table = self._section(self._shstrndx)[1]
        if table.size > MAX_NAMES:
            raise NotElf
        names = self.read(table.offset, table.size)
        for place in range(self._shnum):
            start, where, kind = self._section(place)
            if kind != _SHT_NOBITS and names.startswith(name + b"\0", start):
                return where
        return None

    def writable_data(self) -> Place | None:
        """The first loaded segment that may be written; None when there is none.

        Raises:
            NotElf: the headers do not fit together, or are more than anybody links.
        """
        if self._phnum > MAX_SEGMENTS:
            raise NotElf
        for place in range(self._phnum):
            fields = self._unpack(self._form.segment, self._phoff + place * self._phentsize)
            flags = fields[6] if self._form.flags_last else fields[1]
            if fields[0] == _PT_LOAD and flags & _PF_W:
                offset, size = (fields[1], fields[4]) if self._form.flags_last else (fields[2], fields[5])
                return Place(offset, size)
        return None

    def _section(self, place: int) -> tuple[int, Place, int]:
        fields = self._unpack(self._form.section, self._shoff + place * self._shentsize)
        return fields[0], Place(fields[4], fields[5]), fields[1]

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file, fewer where it ends.

        Raises:
            NotElf: they lie outside of it.
            OSError: it cannot be read.
        """
        if offset >= self._size:
            raise NotElf
        return os.pread(self._descriptor, min(size, self._size - offset), offset)

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        form = self._order + form
        size = struct.calcsize(form)
        if offset > self._size:
            raise NotElf
        raw = os.pread(self._descriptor, size, offset)
        if len(raw) != size:
            raise NotElf
        return struct.unpack(form, raw)
