"""How our values become PostgreSQL's: texts and JSON that it accepts whatever an endpoint sent, cursors, identifiers.

What becomes of characters and numbers that PostgreSQL refuses is in :mod:`mig_core.domain.storable`.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.storable import clean_json
from mig_core.domain.storable import clean_text as clean_text
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mig_core.domain.document import JSON


NEWEST = ("infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff")
"""Where a list that begins with the newest begins: before this moment and id. The place is always compared with: as a
condition that may be left out it would be none for the index, and each page would read all before it."""


def jsonb(value: Mapping[str, JSON] | Mapping[str, str] | Mapping[str, int] | Sequence[JSON]) -> str:
    """An object or a list as JSON text that jsonb accepts."""
    if not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    plain: JSON = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        text = dump(plain).decode("utf-8")
    except ValueError:  # not a finite number
        return dump(clean_json(plain)).decode("utf-8")
    # Looking for the escape also finds "\\u0000", a backslash and five characters; then the walk changes nothing.
    return dump(clean_json(plain)).decode("utf-8") if "\\u0000" in text else text


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


def joined(values: Iterable[object]) -> str:
    """Ids, numbers, words of ours: what has no commas, as one text for ``string_to_array``."""
    words = [str(one) for one in values]
    text = ",".join(words)
    if words and text.count(",") != len(words) - 1:
        raise ValueError("a comma in an id")
    return text
