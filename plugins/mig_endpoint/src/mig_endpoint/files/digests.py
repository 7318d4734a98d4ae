"""Hash algorithms of a search, by the parameter's name and the length of the value.

``algorithm_of`` says whether a value is usable; ``start`` and ``finish`` give all digests of a file from one read.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from hashlib import _Hash

    Running = _Hash

ALGORITHMS: dict[str, dict[int, str]] = {
    "md5": {32: "md5"},
    "sha1": {40: "sha1"},
    "sha2": {64: "sha256", 96: "sha384", 128: "sha512"},
    "sha3": {56: "sha3_224", 64: "sha3_256", 96: "sha3_384", 128: "sha3_512"},
}
"""Parameter name -> number of hexadecimal digits -> hashlib's name."""
RETURNED = "sha256"
"""The algorithm of ``returnsha256``."""

_HEX = re.compile(r"[0-9A-Fa-f]*")


def algorithm_of(parameter: str, value: str) -> str:
    """hashlib's name of the algorithm that gives values like ``value``.

    Raises:
        ValueError: no algorithm of the parameter does.
    """
    if _HEX.fullmatch(value) is None:
        raise ValueError(f"{value!r:.140} is not hexadecimal")
    lengths = ALGORITHMS[parameter]
    if len(value) not in lengths:
        known = ", ".join(f"{digits} ({name})" for digits, name in lengths.items())
        raise ValueError(f"has {len(value)} hexadecimal digits; {parameter} values have {known}")
    return lengths[len(value)]


def start(algorithms: Iterable[str]) -> dict[str, _Hash]:
    """A fresh hash object for each algorithm."""
    return {name: _constructor(name)() for name in algorithms}


@functools.cache
def _constructor(name: str) -> Callable[[], _Hash]:
    import hashlib

    return functools.partial(getattr(hashlib, name), usedforsecurity=False)


def finish(running: dict[str, _Hash]) -> dict[str, str]:
    """Their values, in upper case."""
    return {name: one.hexdigest().upper() for name, one in running.items()}
