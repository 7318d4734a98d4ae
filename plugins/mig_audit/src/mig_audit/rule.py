"""One audit rule, and its wire form: struct audit_rule_data of ``linux/audit.h``.

Made by ``rule_line`` and ``rule_json``; loaded and removed by ``registration``.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FIELDS = 64
WORDS = 64
"""AUDIT_BITMASK_SIZE: 32-bit words of the system call mask."""
MAX_KEY = 256
MAX_STRING = 4096

FILTERS = {"user": 0, "task": 1, "entry": 2, "exit": 4, "exclude": 5, "filesystem": 6, "io_uring": 7}
"""AUDIT_FILTER_*."""
PREPEND = 0x10
ACTIONS = {"never": 0, "possible": 1, "always": 2}

PID, ARCH, MESSAGE_TYPE, PPID, WATCH, PERM, DIRECTORY, EXE, KEY = 0, 11, 12, 18, 105, 106, 107, 112, 210
EQUAL, NOT_EQUAL = 0x40000000, 0x30000000
OPERATORS = {
    "&=": 0x48000000,
    "!=": NOT_EQUAL,
    ">=": 0x60000000,
    "<=": 0x50000000,
    "=": EQUAL,
    ">": 0x20000000,
    "<": 0x10000000,
    "&": 0x08000000,
}
"""As written -> AUDIT_EQUAL and so on; longest first."""
READ, WRITE, EXECUTE, ATTRIBUTES = 4, 2, 1, 8
PERMISSIONS = {"r": READ, "w": WRITE, "x": EXECUTE, "a": ATTRIBUTES}
KEY_SEPARATOR = "\x01"
"""Between several keys of one rule."""

_FIXED = struct.Struct(f"=3I{WORDS}I{MAX_FIELDS}I{MAX_FIELDS}I{MAX_FIELDS}II")
ALL = (0xFFFFFFFF,) * (WORDS - 1) + (0xFFFF,)
"""Every system call; the last 16 bits belong to the kernel's classes of calls."""
NONE = (0,) * WORDS
_ARRAYS = tuple(3 + WORDS + MAX_FIELDS * place for place in range(3))
"""Where numbers, values and operators of the fields begin among the members."""
_NAMES = {number: name for name, number in OPERATORS.items()}
_KINDS = range(1300, 1400)
"""Records of system calls, the only ones that are ever missed."""


@dataclass(frozen=True, slots=True)
class Field:
    """A condition: ``number`` is an AUDIT_* field, ``operator`` an AUDIT_* operator."""

    number: int
    operator: int
    value: int | str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the kernel knows it."""

    text: str
    """As it was written, for people."""
    filter: int
    action: int
    fields: tuple[Field, ...]
    mask: tuple[int, ...] = field(default=ALL, repr=False)
    prepend: bool = False
    watched: str = ""
    """The path of a watch (``-w``), which may turn out to be a directory (:mod:`mig_audit.places`)."""
    required: bool = False
    """Whether a watched path that is not there is an error."""

    def pack(self) -> bytes:
        """The struct audit_rule_data."""
        numbers, values, operators, strings = [], [], [], b""
        for one in self.fields:
            numbers.append(one.number)
            operators.append(one.operator)
            if isinstance(one.value, str):
                encoded = one.value.encode("utf-8", "surrogateescape")
                strings += encoded
                values.append(len(encoded))
            else:
                values.append(one.value & 0xFFFFFFFF)
        rest = [0] * (MAX_FIELDS - len(numbers))
        flags = self.filter | (PREPEND if self.prepend else 0)
        fixed = _FIXED.pack(
            flags,
            self.action,
            len(numbers),
            *self.mask,
            *numbers,
            *rest,
            *values,
            *rest,
            *operators,
            *rest,
            len(strings),
        )
        return fixed + strings


def normal(packed: bytes) -> bytes:
    """A packed rule in the form in which the kernel lists it: without the place it was put in, without padding.

    The same for what was added and for what AUDIT_LIST_RULES answers; too short a one stays as it is.
    """
    if len(packed) < _FIXED.size:
        return packed
    members = list(_FIXED.unpack_from(packed))
    members[0] &= ~PREPEND
    return _FIXED.pack(*members) + packed[_FIXED.size : _FIXED.size + members[-1]]


def prepended(packed: bytes) -> bytes:
    """A packed rule that goes before all others of its list."""
    flags = int.from_bytes(packed[:4], sys.byteorder) | PREPEND
    return flags.to_bytes(4, sys.byteorder) + packed[4:]


def excluded_types(listed: Iterable[bytes]) -> frozenset[int]:
    """The types of records that rules of the list ``exclude`` may keep out, whatever else they ask for."""
    found: set[int] = set()
    for one in listed:
        members = _FIXED.unpack_from(one) if len(one) >= _FIXED.size else ()
        if not members or members[0] & ~PREPEND != FILTERS["exclude"]:
            continue
        numbers, values, operators = (members[start : start + members[2]] for start in _ARRAYS)
        asked = [place for place, number in enumerate(numbers) if number == MESSAGE_TYPE]
        found.update(kind for kind in _KINDS if all(_holds(kind, operators[place], values[place]) for place in asked))
    return frozenset(found)


def _holds(kind: int, operator: int, value: int) -> bool:
    match _NAMES.get(operator):
        case "=":
            return kind == value
        case "!=":
            return kind != value
        case ">":
            return kind > value
        case ">=":
            return kind >= value
        case "<":
            return kind < value
        case "<=":
            return kind <= value
        case _:  # bits: nobody asks a type for them
            return True


def mask_of(numbers: set[int]) -> tuple[int, ...]:
    """The mask with these system calls."""
    words = [0] * WORDS
    for number in numbers:
        words[number // 32] |= 1 << (number % 32)
    return tuple(words)
