"""Lists of known files by the thousand, as they travel: hashes, and sizes where the list has them.

An entry is a hash in hexadecimal, ``HASH`` or ``HASH:SIZE``; or many in one, ``sha256=BASE64`` with one digest after
the other, ``sha256+size=BASE64`` with five bytes of size (big endian) behind each. 20,000 SHA-256 take 830 kB so, and
fit into an action, where hexadecimal digits do not.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LENGTHS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
"""hashlib's name -> bytes of a digest."""
SIZE_BYTES = 5
LARGEST = (1 << (8 * SIZE_BYTES)) - 1
MAX_ENTRY = 1_000_000
"""Characters of an entry."""
_BY_DIGITS = {2 * length: name for name, length in LENGTHS.items()}
_SINGLE = re.compile(r"([0-9A-Fa-f]+)(?::([0-9]{1,13}))?")
_MANY = re.compile(r"([a-z0-9]+)(\+size)?=([A-Za-z0-9+/]+={0,2})")


class Hash(NamedTuple):
    """One of them."""

    algorithm: str
    digest: bytes
    size: int | None
    """Bytes of the file, if the list says so."""


class _Packed(NamedTuple):
    """The digests of an entry, one after the other."""

    algorithm: str
    data: bytes
    step: int
    """Bytes from one to the next."""


def check(entry: str) -> None:
    """Checks an entry.

    Raises:
        ValueError: it is none.
    """
    _read(entry)


def hashes_in(entry: str) -> Iterator[Hash]:
    """What an entry holds.

    Raises:
        ValueError: it is none.
    """
    found = _read(entry)
    if isinstance(found, Hash):
        yield found
        return
    length = LENGTHS[found.algorithm]
    for place in range(0, len(found.data), found.step):
        rest = found.data[place + length : place + found.step]
        yield Hash(found.algorithm, found.data[place : place + length], int.from_bytes(rest, "big") if rest else None)


def _read(entry: str) -> Hash | _Packed:
    single = _SINGLE.fullmatch(entry)
    if single is not None:
        digits, size = single.groups()
        if len(digits) not in _BY_DIGITS:
            known = ", ".join(f"{digits} ({name})" for digits, name in _BY_DIGITS.items())
            raise ValueError(f"has {len(digits)} hexadecimal digits; known are {known}")
        return Hash(_BY_DIGITS[len(digits)], bytes.fromhex(digits), int(size) if size is not None else None)
    many = _MANY.fullmatch(entry)
    if many is None or many[1] not in LENGTHS:
        raise ValueError(f"{entry!r:.60} is neither HASH, HASH:SIZE nor a packed list like sha256=BASE64")
    try:
        data = base64.b64decode(many[3], validate=True)
    except binascii.Error as error:
        raise ValueError(f"is no base64: {error}") from None
    step = LENGTHS[many[1]] + (SIZE_BYTES if many[2] else 0)
    if len(data) % step:
        raise ValueError(f"has {len(data)} bytes, which {step} does not divide")
    return _Packed(many[1], data, step)


def packed(hashes: Iterable[Hash]) -> list[str]:
    """Entries for many hashes: one for each algorithm, with sizes and without."""
    groups: dict[tuple[str, bool], bytearray] = {}
    for one in dict.fromkeys(hashes):
        data = groups.setdefault((one.algorithm, one.size is not None), bytearray())
        data += one.digest
        if one.size is not None:
            data += one.size.to_bytes(SIZE_BYTES, "big")
    return [
        f"{algorithm}{'+size' if sized else ''}={base64.b64encode(data).decode()}"
        for (algorithm, sized), data in groups.items()
    ]


class Known(NamedTuple):
    """The lists of a search, ready to be looked up."""

    digests: frozenset[tuple[str, str]]
    """Algorithm and digits, in upper case."""
    sizes: frozenset[int] | None
    """The sizes that a file must have one of; None where the lists do not say all of them."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What has to be computed."""
        return tuple(sorted({algorithm for algorithm, _ in self.digests}))


@functools.lru_cache(maxsize=4)
def known_of(entries: tuple[str, ...]) -> Known:
    """The lists of checked entries."""
    digests: set[tuple[str, str]] = set()
    sizes: set[int | None] = set()
    for found in map(_read, entries):
        if isinstance(found, Hash):
            digests.add((found.algorithm, found.digest.hex().upper()))
            sizes.add(found.size)
            continue
        text, length = found.data.hex().upper(), LENGTHS[found.algorithm]
        places = range(0, len(text), 2 * found.step)
        digests.update((found.algorithm, text[place : place + 2 * length]) for place in places)
        if found.step == length:
            sizes.add(None)
        else:
            sizes.update(int(text[place + 2 * length : place + 2 * found.step], 16) for place in places)
    all_sizes = frozenset(size for size in sizes if size is not None)
    return Known(frozenset(digests), None if None in sizes else all_sizes)
