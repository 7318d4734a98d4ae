"""What becomes of texts and JSON on their way through the database.

PostgreSQL's text and jsonb refuse NUL and lone surrogates, jsonb also refuses numbers that are not finite. One such
character from one endpoint must not hold up the answers of the others, so they become U+FFFD (numbers: null). Whoever
compares a stored answer with the document that the agent signed has to do the same to the document.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

REPLACEMENT = "\ufffd"


def clean_text(text: str) -> str:
    """The text with U+FFFD for what PostgreSQL cannot hold."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_json(value: JSON) -> JSON:
    """The value as it comes back from jsonb."""
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {clean_text(key): clean_json(inner) for key, inner in value.items()}
        case list() | tuple():
            return [clean_json(inner) for inner in value]
        case _:
            return value


def same(one: JSON, other: JSON) -> bool:
    """Whether two JSON values say the same: ``1`` and ``1.0`` do, ``1`` and ``true`` do not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(inner, other[key]) for key, inner in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    return one == other
