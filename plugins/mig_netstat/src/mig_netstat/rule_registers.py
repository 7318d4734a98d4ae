"""What a rule of nftables has loaded into the registers of the kernel's small machine, as text.

There are 16 registers of four bytes; the four of 16 bytes that rules use mostly are the same place. What is written
over is forgotten: a rule must never be told with a field that it does not look at.
"""

from __future__ import annotations

from typing import NamedTuple

from mig_netstat.nft_values import number_in, padded, value_text

_WORDS = 4
"""Small registers in a large one."""
_FIRST_SMALL = 8


class Part(NamedTuple):
    """A field of a packet's header, or what else a register may hold."""

    text: str
    kind: str = ""
    """How its values are written, as :func:`value_text` knows."""
    length: int = 4


class Loaded(NamedTuple):
    """What a register holds."""

    parts: tuple[Part, ...]
    """One, or several fields of a header that follow each other, which were loaded at once."""
    length: int
    """Bytes that were loaded: fewer than the field has where only its beginning is looked at."""
    mask: bytes = b""
    raw: bytes | None = None
    """The value, where it is no field but a value that the rule has."""

    @property
    def part(self) -> Part:
        """The only one.

        Raises:
            ValueError: there are several.
        """
        if len(self.parts) != 1:
            raise ValueError("several fields")
        return self.parts[0]


def of_part(text: str, kind: str = "", length: int = 4) -> Loaded:
    """A register with one field."""
    return Loaded((Part(text, kind, length),), length)


class Registers:
    """The registers while a rule is read."""

    def __init__(self) -> None:
        self._held: dict[int, Loaded] = {}

    def load(self, number: int, loaded: Loaded) -> None:
        """Something is written into a register."""
        place = _place(number)
        words = range(place, place + max(1, padded(loaded.length) // 4))
        for start, other in list(self._held.items()):
            if start in words or place in range(start, start + max(1, padded(other.length) // 4)):
                del self._held[start]
        self._held[place] = loaded

    def forget(self) -> None:
        """A step was not understood: what it has written is not known, nor where."""
        self._held.clear()

    def held(self, number: int) -> Loaded:
        """What is in a register.

        Raises:
            LookupError: that is not known.
        """
        return self._held[_place(number)]

    def gathered(self, number: int, length: int) -> str:
        """What is in the registers from one on, as far as a set's keys are long: ``ip saddr . tcp dport``."""
        place = _place(number)
        end = place + max(1, padded(length) // 4)
        texts = []
        while place < end:
            loaded = self._held[place]
            texts.append(text_of(loaded))
            place += max(1, padded(loaded.length) // 4)
        return " . ".join(texts)

    def value(self, number: int, kind: str) -> str:
        """What is in a register, to be written as a value of a kind where the rule has the value itself.

        Empty where it is the rest of what begins in a register before it, as of a map's values of two parts.
        """
        place = _place(number)
        if any(start < place < start + padded(one.length) // 4 for start, one in self._held.items()):
            return ""
        loaded = self.held(number)
        return text_of(loaded) if loaded.raw is None else value_text(loaded.raw, kind)


def text_of(loaded: Loaded) -> str:
    """What is in a register."""
    if loaded.raw is not None:
        return value_text(loaded.raw, loaded.part.kind)
    text = " . ".join(one.text for one in loaded.parts)
    return f"{text} & {mask_text(loaded)}" if loaded.mask else text


def mask_text(loaded: Loaded) -> str:
    """The mask, in the order of bytes that the value has."""
    kind = loaded.part.kind
    if kind in ("address", "state", "status"):
        return value_text(loaded.mask.ljust(loaded.part.length if kind == "address" else 0, b"\0"), kind)
    if kind == "tcp flags":
        return f"({value_text(loaded.mask, kind)})"

    return hex(number_in(loaded.mask, kind))


def _place(number: int) -> int:
    return number - _FIRST_SMALL if number >= _FIRST_SMALL else (number - 1) * _WORDS
