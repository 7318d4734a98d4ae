"""As much of DER (ITU-T X.690) as private keys need: sequences, numbers, object identifiers, strings of bytes."""

from __future__ import annotations

from mig_endpoint.ssh.blob import NotAKey

INTEGER, BIT_STRING, OCTET_STRING, OBJECT, SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The elements one after the other: tag and content.

    Raises:
        NotAKey: it is not DER.
    """
    found, place = [], 0
    while place < len(data):
        if place + 2 > len(data):
            raise NotAKey("damaged")
        tag, length = data[place], data[place + 1]
        place += 2
        if length & 0x80:
            size = length & 0x7F
            if not 0 < size <= 4 or place + size > len(data):
                raise NotAKey("damaged")
            length = int.from_bytes(data[place : place + size])
            place += size
        if length > len(data) - place:
            raise NotAKey("damaged")
        found.append((tag, data[place : place + length]))
        place += length
    return found


def sequence(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of the sequence that the data begin with.

    Raises:
        NotAKey: they do not.
    """
    found = elements(data)
    if not found or found[0][0] != SEQUENCE:
        raise NotAKey("damaged")
    return elements(found[0][1])


def integer(element: tuple[int, bytes]) -> int:
    """A number.

    Raises:
        NotAKey: it is none.
    """
    if element[0] != INTEGER:
        raise NotAKey("damaged")
    return int.from_bytes(element[1])
