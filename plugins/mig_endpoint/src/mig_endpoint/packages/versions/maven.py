"""Maven's order of versions (maven.apache.org/pom.html, "Version Order Specification"), for Java archives.

A version is a list of numbers and qualifiers; a hyphen, or a change between digits and letters, begins a list in it.
"""

from __future__ import annotations

import itertools
import re

_QUALIFIERS = {name: place for place, name in enumerate(("alpha", "beta", "milestone", "rc", "snapshot", "", "sp"))}
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
"""Only where a digit follows at once."""
_OTHERS = len(_QUALIFIERS)
MAX_VERSION = 500
_VERSION = re.compile(r"[0-9A-Za-z][^\s:]*", re.ASCII)
_PIECE = re.compile(r"[0-9]+|[.-]|[^0-9.-]+", re.ASCII)


def compare(left: str, right: str) -> int:
    """The order of two versions.

    Raises:
        ValueError: one of them is none: empty, with a blank or a colon, or longer than any.
    """
    return _order(_read(left), _read(right))


def _read(text: str) -> list[object]:
    """The lists: of each, what says nothing at its end is taken away."""
    if len(text) > MAX_VERSION or _VERSION.fullmatch(text) is None:
        raise ValueError(f"{text!r:.80} is not a version of Maven's")
    top: list[object] = []
    lists = [top]
    before = "."
    pieces = _PIECE.findall(text.lower())
    for piece, after in itertools.pairwise([*pieces, ""]):
        if piece in ".-":
            if before in ".-":
                lists[-1].append(0)
            if piece == "-":
                _nest(lists)
        elif piece.isdigit():
            if before not in ".-":
                _nest(lists)
            lists[-1].append(int(piece))
        else:
            if before not in ".-" or (lists[-1] and after not in (".", "-")):  # 1.x is 1-x, but for 1.x.2
                _nest(lists)
            lists[-1].append(_qualifier(_SHORT.get(piece, piece) if after.isdigit() else piece))
        before = piece
    for inner in reversed(lists):
        _trim(inner)
    return top


def _nest(lists: list[list[object]]) -> None:
    inner: list[object] = []
    lists[-1].append(inner)
    lists.append(inner)


def _qualifier(name: str) -> str:
    return _ALIASES.get(name, name)


def _trim(items: list[object]) -> None:
    """Takes away what says nothing (0, the empty qualifier, empty lists) at the end, and before lists there."""
    for place in range(len(items) - 1, -1, -1):
        if not items[place]:
            del items[place]
        elif not isinstance(items[place], list):
            break


def _order(left: object, right: object) -> int:
    """The order of two items; None stands for one that is not there."""
    if left is None or right is None:
        return _over_nothing(left) if right is None else -_over_nothing(right)
    rank, rank2 = _rank(left), _rank(right)
    if rank != rank2:
        return 1 if rank > rank2 else -1
    if isinstance(left, list) and isinstance(right, list):
        orders = (_order(one, two) for one, two in itertools.zip_longest(left, right))
        return next((order for order in orders if order), 0)
    key, key2 = _key(left), _key(right)
    return (key > key2) - (key < key2)


def _over_nothing(item: object) -> int:
    if isinstance(item, list):
        return next((order for one in item if (order := _over_nothing(one))), 0)
    if isinstance(item, str):
        return (_key(item) > _key("")) - (_key(item) < _key(""))
    return 1 if item else 0


def _rank(item: object) -> int:
    """Qualifiers are older than lists, and these than numbers: ``1.any`` before ``1-1`` before ``1.1``."""
    return 0 if isinstance(item, str) else 1 if isinstance(item, list) else 2


def _key(item: object) -> tuple[int, str]:
    if isinstance(item, int):
        return item, ""
    name = str(item)
    return _QUALIFIERS.get(name, _OTHERS), "" if name in _QUALIFIERS else name
