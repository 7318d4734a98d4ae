"""The small expressions of a search: sizes (``<100k``), ages (``>2d``) and the text of a file's mode.

Pure functions and values; ``search`` builds them, ``evaluation`` asks them.
"""

from __future__ import annotations

import re
import stat

from mig_core.records import dataclass

_SIZE = re.compile(r"([<>]?)([0-9]{1,20})([kmgt]?)")
_AGE = re.compile(r"([<>])([0-9]{1,20})([dhm])")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS = {"d": 86400, "h": 3600, "m": 60}
_LARGEST_NUMBER = (1 << 64) - 1
_LONGEST_AGE_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class SizeRange:
    """Sizes in bytes from ``low`` to ``high``, both included; ``high`` None: no upper bound."""

    low: int
    high: int | None

    def holds(self, size: int) -> bool:
        """Whether a file of ``size`` bytes lies in the range."""
        return self.low <= size and (self.high is None or size <= self.high)


@dataclass(frozen=True, slots=True)
class Age:
    """Changed within (``younger``) or before the last ``nanoseconds``; neither includes the moment itself."""

    younger: bool
    nanoseconds: int

    def holds(self, modified: int, now: int) -> bool:
        """Whether a file modified at ``modified`` fits at ``now`` (nanoseconds since 1970). The future is young."""
        return modified > now - self.nanoseconds if self.younger else modified < now - self.nanoseconds


def parse_size(text: str) -> SizeRange:
    """Reads ``<100k``, ``>1m`` or ``42``; units are powers of 1024, both signs include equality.

    Raises:
        ValueError: with the reason.
    """
    parts = _SIZE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r:.60} is not a size like '<100k', '>1m' or '42' (units k m g t, lower case)")
    sign, digits, unit = parts.groups()
    if int(digits) > _LARGEST_NUMBER:
        raise ValueError(f"{text!r:.60} is too large")
    size = int(digits) * _UNITS[unit]
    return {"<": SizeRange(0, size), ">": SizeRange(size, None), "": SizeRange(size, size)}[sign]


def parse_age(text: str) -> Age:
    """Reads ``<2d`` (changed within two days) or ``>90m`` (changed before that); units d, h and m.

    Raises:
        ValueError: with the reason.
    """
    parts = _AGE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r:.60} is not an age like '<2d' or '>12h' (units d h m; < or > is needed)")
    sign, digits, unit = parts.groups()
    nanoseconds = int(digits) * _SECONDS[unit] * 1_000_000_000
    if nanoseconds > _LONGEST_AGE_NS:
        raise ValueError(f"{text!r:.60} is more than 292 years")
    return Age(sign == "<", nanoseconds)


_ONE_TEXT = re.compile(r"\^(?:[^\\^$.|?*+()\[\]{}]|\\[^0-9A-Za-z]|\[[^\]\\^\[-]\])+\$")


def is_whole_text(regex: str) -> bool:
    """Whether an expression is plainly one that a single text passes: ``^passwd$``, ``^a\\.conf$``, ``^a[.]conf$``."""
    return _ONE_TEXT.fullmatch(regex) is not None


_TYPE_LETTERS = {
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "L",
    stat.S_IFBLK: "D",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "S",
    stat.S_IFREG: "",
    stat.S_IFCHR: "D",
}


def mode_text(mode: int) -> str:
    """The mode as Go's os.FileMode writes it: ``-rw-r--r--``, ``urwxr-xr-x`` (setuid), ``Dcrw-rw-rw-``. Not as ls does.

    Letters in the order ``d L D p S u g c t ?``, a dash when there is none, then the nine permissions.
    """
    kind = stat.S_IFMT(mode)
    letters = _TYPE_LETTERS.get(kind, "")
    letters += "u" if mode & stat.S_ISUID else ""
    letters += "g" if mode & stat.S_ISGID else ""
    letters += "c" if kind == stat.S_IFCHR else ""
    letters += "t" if mode & stat.S_ISVTX else ""
    letters += "" if kind in _TYPE_LETTERS else "?"
    permissions = "".join(letter if mode & (0o400 >> place) else "-" for place, letter in enumerate("rwxrwxrwx"))
    return (letters or "-") + permissions


def mode_texts(kind: int) -> list[str]:
    """The texts of all 4096 permissions of a kind (``stat.S_IFREG`` …), in the order of their bits."""
    low = [mode_text(stat.S_IFREG | bits)[-9:] for bits in range(512)]
    return [mode_text(kind | special << 9)[:-9] + text for special in range(8) for text in low]
