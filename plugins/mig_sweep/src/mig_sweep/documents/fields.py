"""Reading JSON of strangers: values of the kind that is wanted, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LABELS = 20


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a list; the object itself if it is one."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def text(value: Any) -> str:
    """A text or a number as text; empty for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a list, at most :data:`MAX_LABELS`."""
    return tuple(one for one in value if isinstance(one, str))[:MAX_LABELS] if isinstance(value, list) else ()
