"""An alert as it came, of which only those members are decoded that somebody asks for.

The agent passes alerts on as the bytes that their source wrote: JSON without blanks, and a quote within a text is
escaped there, so ``,"process":{`` can only be a member. Within other members it would have to be one of a record's
fields, and those are texts, not objects. What is written otherwise is written anew first (:func:`normal`).
"""

from __future__ import annotations

import json
import re
from typing import Any

_DECODER = json.JSONDecoder()
_TIME = re.compile(rb'"time":"([^"\\]*)"')
HEAD = b'{"schema":1,"type":"'
_OPENING = {
    name: f',"{name}":{opening}'.encode()
    for opening, names in (("{", ("process", "syscall", "user", "address")), ("[", ("paths", "records", "keys")))
    for name in names
}
"""Members that are found by their name -> how they begin."""


def normal(raw: bytes) -> bytes:
    """An alert of any spelling as its members are looked for here.

    Raises:
        ValueError: it is no JSON object.
    """
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    head = {"schema": value.get("schema", 1), "type": value.get("type", "")}
    return json.dumps(head | value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Alert:
    """One alert."""

    __slots__ = ("_members", "_whole", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._members: dict[str, Any] = {}
        self._whole: dict[str, Any] | None = None

    def get(self, name: str) -> Any:
        """A member; None when there is none.

        Raises:
            ValueError: the alert is no JSON object.
        """
        if self._whole is not None or name not in _OPENING or not self.raw.startswith(HEAD):
            return self.whole().get(name)
        if name not in self._members:
            self._members[name] = self._member(name)
        return self._members[name]

    def result(self) -> bool | None:
        """Whether what it tells of succeeded."""
        if self.raw.startswith(HEAD):
            return True if b',"result":true,' in self.raw else False if b',"result":false,' in self.raw else None
        result = self.whole().get("result")
        return result if isinstance(result, bool) else None

    def time(self) -> str | None:
        """When it happened, as it says."""
        found = _TIME.search(self.raw)
        return found[1].decode("utf-8", "replace") if found is not None else None

    def whole(self) -> dict[str, Any]:
        """All of it.

        Raises:
            ValueError: it is no JSON object.
        """
        if self._whole is None:
            value = json.loads(self.raw)
            if not isinstance(value, dict):
                raise ValueError("is no JSON object")
            self._whole = value
        return self._whole

    def _member(self, name: str) -> Any:
        start = self.raw.find(_OPENING[name])
        if start < 0:
            return None
        text = self.raw[start + len(_OPENING[name]) - 1 :].decode("utf-8", "replace")
        return _DECODER.raw_decode(text)[0]
