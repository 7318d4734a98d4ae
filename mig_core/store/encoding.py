"""How our values become PostgreSQL's: texts and JSON that it accepts whatever an endpoint sent, cursors, identifiers.

PostgreSQL's text and jsonb refuse NUL and lone surrogates, jsonb also refuses numbers that are not finite. One such
character from one endpoint must not hold up the answers of the others, so they become U+FFFD (numbers: null).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mig_core.domain.document import JSON

REPLACEMENT = "\ufffd"


def clean_text(text: str) -> str:
    """The text with U+FFFD for what PostgreSQL cannot hold."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def jsonb(value: Mapping[str, JSON] | Mapping[str, str] | Mapping[str, int] | Sequence[JSON]) -> str:
    """An object or a list as JSON text that jsonb accepts."""
    plain: JSON = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        text = dump(plain).decode("utf-8")
    except ValueError:  # not a finite number
        return dump(_clean(plain)).decode("utf-8")
    # Looking for the escape also finds "\\u0000", a backslash and five characters; then the walk changes nothing.
    return dump(_clean(plain)).decode("utf-8") if "\\u0000" in text else text


def _clean(value: JSON) -> JSON:
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {clean_text(key): _clean(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
        case _:
            return value


def write_cursor(*parts: str) -> str:
    """The opaque form of the last row's sort key."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode("ascii")).decode("ascii").rstrip("=")


def read_cursor(cursor: str, *, parts: int) -> list[str]:
    """The sort key again.

    Raises:
        InvalidDocument: it is not a cursor that :func:`write_cursor` made.
    """
    try:
        if len(cursor) > 10_000:
            raise ValueError
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if (
            isinstance(key, list)
            and len(key) == parts
            and all(isinstance(one, str) and "\x00" not in one for one in key)
        ):
            for one in key:
                one.encode("utf-8")
            return key
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise InvalidDocument("cursor", "was not given out by this list", next_step="begin again without a cursor")


def as_uuid(text: str) -> uuid.UUID | None:
    """The UUID, or None when the text is none: then no such thing exists."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def as_uuids(texts: Iterable[str]) -> list[uuid.UUID]:
    """Those of the texts that are UUIDs."""
    return [one for one in map(as_uuid, texts) if one is not None]
