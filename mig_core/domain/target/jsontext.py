"""The text PostgreSQL gives for a value inside jsonb (``->>``), so that Python compares with the same text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPE_TABLE = {code: f"\\u{code:04x}" for code in range(32)} | {ord(key): text for key, text in _ESCAPES.items()}


def text_at(document: Mapping[str, object], path: tuple[str, ...]) -> str | None:
    """``document->'a'->>'b'`` for the path ``("a", "b")``; None where PostgreSQL gives NULL."""
    value: object = document
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    if value is None or isinstance(value, str):
        return value
    return json_text(value)


def json_text(value: object) -> str:
    """The value as jsonb writes it: keys by length and then bytes, numbers without exponent."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value.translate(_ESCAPE_TABLE)}"'
        case int():
            return str(value)
        case float():
            plain = f"{Decimal(repr(value)):f}"
            return plain.removeprefix("-") if value == 0 else plain
        case Mapping():
            keys = sorted((str(key) for key in value), key=_jsonb_key_order)
            return "{" + ", ".join(f"{json_text(key)}: {json_text(value[key])}" for key in keys) + "}"
        case list() | tuple():
            return "[" + ", ".join(json_text(item) for item in value) + "]"
        case _:
            return str(value)


def _jsonb_key_order(key: str) -> tuple[int, bytes]:
    raw = key.encode("utf-8", "surrogatepass")
    return len(raw), raw
