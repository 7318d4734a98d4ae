"""One member of a zip file (eggs, yarn's cache, jars), read within limits. Used by ``search`` and by modules.

The list of members stands at the end of such a file (APPNOTE.TXT 4.3); how long it is, is looked at before it is read.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

MAX_DIRECTORY = 32 << 20
"""Bytes of a list of members; Python makes about ten times as much of it."""
_END = b"PK\x05\x06"
_END_LENGTH = 22
_MAX_COMMENT = 0xFFFF
_SIZE = struct.Struct("<12xI")
_ERRORS = (zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
"""What :mod:`zipfile` raises, besides its own, at files that are damaged, or use what it does not know."""


class Archive:
    """A zip file, open."""

    def __init__(self, file: BinaryIO) -> None:
        """Reads the list of members.

        Raises:
            ValueError: it is no zip file, a damaged one, or its list is longer than :data:`MAX_DIRECTORY`.
            OSError: reading failed.
        """
        import zipfile  # takes 8 ms, and most searches meet no archive

        self._errors = (zipfile.BadZipFile, *_ERRORS)
        end = file.seek(0, 2)
        file.seek(max(0, end - _END_LENGTH - _MAX_COMMENT))
        tail = file.read(_END_LENGTH + _MAX_COMMENT)
        place = tail.rfind(_END)
        if place < 0 or len(tail) - place < _END_LENGTH:
            raise ValueError("not a zip file")
        if _SIZE.unpack_from(tail, place)[0] > MAX_DIRECTORY:
            raise ValueError("its list of members is too long")
        try:
            self._archive = zipfile.ZipFile(file)
        except self._errors as error:
            raise ValueError(str(error)) from None

    def names(self) -> list[str]:
        """The members."""
        return self._archive.namelist()

    def read(self, name: str, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a member.

        Raises:
            KeyError: there is none of this name.
            ValueError: it is damaged, or packed or encrypted in a way that is not known.
            OSError: reading failed.
        """
        try:
            with self._archive.open(name) as member:
                return member.read(limit)
        except self._errors as error:
            raise ValueError(str(error)) from None
