"""Events that are longer than a line or a receiver takes, made to fit: the longest members are cut; ``cut`` says so.

An event that is dropped for its length hides what it tells, and an attacker chooses the length. So everything short
stays (who, when, which program, with which result), and of what is long the beginning does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mig_core.domain.document import dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON

LEAST_BYTES = 200
"""The smallest limit: room for ``cut`` and a few members."""
_SHORTEST = 24
"""Bytes of JSON below which no member is cut."""
_CUT = "cut"
_NUMBER_BYTES = 14
"""Most that one entry of ``cut`` costs besides its name: quotes, colon, comma and ten digits."""


def fitted(event: Mapping[str, JSON], limit: int) -> bytes:
    """The event as JSON of at most ``limit`` bytes, which is as it was when it fits.

    Texts and lists, wherever they lie in objects, are cut to one length, the largest with which all fits: the longest
    first. A text keeps its beginning, a list its first entries. ``cut`` tells for each, by its path
    (``process.title``), how many bytes of JSON it had before it was cut for the first time. Where that is not enough,
    members go altogether, the last first.

    Args:
        event: what may be too long; it is not changed.
        limit: bytes, ``LEAST_BYTES`` at least.
    """
    raw = dump(dict(event))
    if len(raw) <= limit:
        return raw
    members = sorted(_members(event, ""), key=lambda one: one[1], reverse=True)
    length, number = _length(members, len(raw) - limit + len('"cut":{},'))
    cut = dict(members[:number])
    whole = _shortened(event, "", cut, length)
    before = event.get(_CUT)
    whole[_CUT] = {**cut, **(before if isinstance(before, dict) else {})}
    raw = dump(whole)
    return raw if len(raw) <= limit else _fewest(whole, len(raw), limit)


def _members(value: Mapping[str, JSON], path: str) -> Iterator[tuple[str, int]]:
    """Path and size of all texts and lists that may be cut."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _members(inner, f"{path}{key}.")
        elif isinstance(inner, str | list) and (path or key != _CUT):
            size = len(dump(inner))
            if size > _SHORTEST:
                yield f"{path}{key}", size


def _length(members: list[tuple[str, int]], excess: int) -> tuple[int, int]:
    """To how many bytes members are cut, and how many of them, the longest ones, so that ``excess`` is saved."""
    won = 0
    for number, (path, size) in enumerate(members, start=1):
        won += size - len(path.encode()) - _NUMBER_BYTES
        length = (won - excess) // number
        following = members[number][1] if number < len(members) else 0
        if length >= max(following, _SHORTEST):
            return length, number
    return _SHORTEST, len(members)


def _shortened(value: Mapping[str, JSON], path: str, cut: Mapping[str, int], length: int) -> dict[str, JSON]:
    """The object, with those members cut that ``cut`` names."""
    made: dict[str, JSON] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            made[key] = _shortened(inner, f"{path}{key}.", cut, length)
        else:
            made[key] = _beginning(inner, length) if f"{path}{key}" in cut else inner
    return made


def _beginning(value: JSON, length: int) -> JSON:
    """As much from the front of a text or list as has ``length`` bytes of JSON; of anything else that fits, all."""
    if len(dump(value)) <= length:
        return value
    if isinstance(value, str):
        kept = value[:length]
        while kept and (size := len(dump(kept))) > length:
            kept = kept[: min(len(kept) - 1, len(kept) * length // size)]
        return kept
    if isinstance(value, dict):
        return _object(value, length)
    entries: list[JSON] = []
    left = length - 2
    for entry in cast("list[JSON]", value):
        size = len(dump(entry)) + 1
        if size > left:
            if left > _SHORTEST and isinstance(entry, str | list | dict) and (rest := _beginning(entry, left - 1)):
                entries.append(rest)
            break
        entries.append(entry)
        left -= size
    return entries


def _object(value: Mapping[str, JSON], length: int) -> dict[str, JSON]:
    """The members of an object that fit, in their order; of long ones the beginning."""
    kept: dict[str, JSON] = {}
    left = length - 2
    for key, member in value.items():
        head, inner = len(dump(key)) + 2, member
        size = len(dump(inner))
        if size > left - head and isinstance(inner, str | list | dict):
            inner = _beginning(inner, min(left - head, max(_SHORTEST, left // 2)))
            size = len(dump(inner))
        if head + size <= left:
            kept[key] = inner
            left -= head + size
    return kept


def _fewest(whole: dict[str, JSON], size: int, limit: int) -> bytes:
    """So many members, or such long names, that some have to go; the first ones stay."""
    left = limit - len(dump({_CUT: {"event": size}})) - 1
    kept = _object({key: value for key, value in whole.items() if key != _CUT}, left + 2)
    return dump({**kept, _CUT: {"event": size}})
