"""Work on many things at once that one of them can spoil: what is at fault is found, and the others go on.

An outage of database or relay spoils everything alike, so the same work is tried again until it is over. What is
refused is refused again however often it is tried; then it is done in halves, until what is at fault stands alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from mig_core.errors import RelayUnavailable, StoreBroke, StoreError, StoreUnavailable
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

_BREAKS = 3
"""So often may the connection end under the same work while the database answers others; then the work is to blame."""

_log = logging.getLogger(__name__)


async def isolate(
    what: str,
    things: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[object]],
    *,
    answers: Callable[[], Awaitable[bool]],
) -> list[tuple[T, Exception]]:
    """Has ``work`` done for all things, together as far as possible; returns those it is refused for, and why.

    Waits for the end of outages.

    Args:
        what: names the work in the log.
        work: may be repeated, also for things it was done for before.
        answers: whether the database answers now.
    """
    refused: list[tuple[T, Exception]] = []
    waiting: list[Sequence[T]] = [things] if things else []
    while waiting:
        some = waiting.pop()
        error = await _attempt(what, some, work, answers)
        if error is None:
            continue
        if len(some) == 1:
            refused.append((some[0], error))
            continue
        middle = len(some) // 2
        waiting += [some[middle:], some[:middle]]
    return refused


async def _attempt(
    what: str,
    things: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[object]],
    answers: Callable[[], Awaitable[bool]],
) -> Exception | None:
    """What the things, or one of them, are to blame for; None when the work is done."""
    backoff = Backoff(0.1, 15.0)
    breaks = 0
    while True:
        try:
            await work(things)
            return None
        except Exception as error:
            if not is_outage(error):
                return error
            breaks = breaks + 1 if isinstance(error, StoreBroke) and await answers() else 0
            if breaks >= _BREAKS:
                return error
            delay = backoff.next()
            _log.warning("%s: %s; trying again in %.1f s", what, error, delay)
            await asyncio.sleep(delay)


def is_outage(error: Exception) -> bool:
    """Whether an error says nothing about what was worked on: everything else would fail just so."""
    if isinstance(error, StoreUnavailable | RelayUnavailable):
        return True
    # A bare one: rights, schema or program are wrong. An operator mends that, and nothing must be lost meanwhile.
    return type(error) is StoreError
