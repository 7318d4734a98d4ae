"""Keeps an event within what the agent carries in one line, whatever was written into its records.

The agent would shorten an alert that is too long by its largest members, whole: of a program started with megabytes of
arguments its ``process`` would go, and nobody would know who it was. Here only tails go: raw text, arguments, records,
paths, in this order.

Measured is the JSON that travels, in UTF-8: a byte that is no text has four characters (``\\x80``), and five in JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from mig_audit.execve import command
from mig_core.plugin.persistent import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.document import JSON

MOST = MAX_LINE_BYTES - 4096
"""Bytes of an event; leaves room for the agent's frame."""
SMALL, FEW = 40_000, 500
"""So many characters of records, in so many records, fit in any case: nothing in JSON is 18 times as long, raw text,
arguments and command together, and what is written about each record by itself is less than 600 bytes."""
_LONGEST = 20
"""Most bytes that a character of an argument costs, in ``arguments`` and, quoted, in ``command``."""


def fit(event: dict[str, JSON]) -> None:
    """Cuts what is too much, and says so in ``cut``.

    ``arguments`` is how many characters they had in all, ``raw`` how many are left out, and a type's name how many of
    its records are.
    """
    excess = _bytes(event) - MOST
    if excess <= 0:
        return
    excess += 2048  # ``cut`` itself grows
    excess -= _pop(event, "raw", excess)
    excess -= _arguments(event, excess)
    excess -= _pop(event, "records", excess)
    _pop(event, "paths", excess)


def count(event: dict[str, JSON], what: str, size: int) -> None:
    """Says that something was left out of an event."""
    cut = cast("dict[str, int]", event.setdefault("cut", {}))
    cut[what] = cut.get(what, 0) + size


def _pop(event: dict[str, JSON], member: str, excess: int) -> int:
    """Takes elements from the end of a list; the bytes that were won."""
    elements = cast("list[JSON]", event.get(member, []))
    won = 0
    while elements and won < excess:
        last = elements.pop()
        won += _bytes(last) + 1
        if member == "raw":
            count(event, "raw", len(cast("str", last)))
        else:
            count(event, "PATH" if member == "paths" else str(cast("dict[str, JSON]", last)["type"]), 1)
    return won


def _arguments(event: dict[str, JSON], excess: int) -> int:
    """Keeps the first arguments, of the last of them the beginning; the bytes that were won."""
    process = cast("dict[str, JSON]", event.get("process", {}))
    words = cast("list[str]", process.get("arguments", []))
    if not words or excess <= 0:
        return 0
    before = _cost(words)
    room = before - excess
    kept: list[str] = []
    for word in words:
        cost = _cost([word])
        if cost > room:
            part = word[: max(room, 0) // _LONGEST]
            kept += [part] if part else []
            break
        kept.append(word)
        room -= cost
    if "arguments" not in cast("dict[str, JSON]", event.get("cut", {})):  # else they were cut before, and counted
        count(event, "arguments", sum(map(len, words)))
    process["arguments"], process["command"] = cast("JSON", kept), command(kept)
    return before - _cost(kept)


def _cost(words: Sequence[str]) -> int:
    return _bytes(cast("JSON", words)) + _bytes(command(words))


def _bytes(value: JSON) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
