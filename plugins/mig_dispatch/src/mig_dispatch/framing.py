"""How a record lies in a segment of the spool: a fixed header, then the payload.

The header is little-endian: ``MIGr``, length of the payload (u32), CRC-32 (u32) over everything but itself and the
mark, number of the record (u64), number of the first record of its batch (u64). A batch is what one ``fsync`` made
durable: any later batch proves that it was. That is how recovery tells a tail that never was promised to anyone from
damage to what was. Payloads are JSON text, which holds no NUL; a length always does. So no alert can contain what looks
like a record.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_HEADER = struct.Struct("<4sIIQQ")
_CHECKED = struct.Struct("<IQQ")
_MARK = b"MIGr"

HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One record as read. ``end`` is the offset of the byte behind it in the buffer it was read from."""

    number: int
    batch: int
    payload: bytes
    end: int


def encode(number: int, batch: int, payload: bytes) -> bytes:
    """The bytes of a record.

    Raises:
        ValueError: the payload is larger than ``MAX_PAYLOAD_BYTES``.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes does not fit the spool")
    crc = zlib.crc32(payload, zlib.crc32(_CHECKED.pack(len(payload), number, batch)))
    return _HEADER.pack(_MARK, len(payload), crc, number, batch) + payload


def size_at(buffer: bytes, offset: int) -> int:
    """How many bytes the record at ``offset`` claims to have; 0 when there is no header."""
    if len(buffer) - offset < HEADER_BYTES:
        return 0
    mark, length, _crc, _number, _batch = _HEADER.unpack_from(buffer, offset)
    return HEADER_BYTES + length if mark == _MARK and length <= MAX_PAYLOAD_BYTES else 0


def decode(buffer: bytes, offset: int) -> Frame | None:
    """The record at ``offset``, or None when what is there is cut short or damaged."""
    size = size_at(buffer, offset)
    if not size or offset + size > len(buffer):
        return None
    _mark, length, crc, number, batch = _HEADER.unpack_from(buffer, offset)
    payload = buffer[offset + HEADER_BYTES : offset + size]
    if zlib.crc32(payload, zlib.crc32(_CHECKED.pack(length, number, batch))) != crc:
        return None
    return Frame(number, batch, payload, offset + size)


def find(buffer: bytes, offset: int) -> Frame | None:
    """The first whole record at or behind ``offset``: the way on after damage."""
    while (offset := buffer.find(_MARK, offset)) >= 0:
        frame = decode(buffer, offset)
        if frame is not None:
            return frame
        offset += 1
    return None
