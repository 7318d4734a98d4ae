"""Work that is done whenever something wakes it, again and again, and that outlives outages of database and relay."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from mig_core.cancelling import cancels, heed_cancels
from mig_core.errors import RelayError, StoreError
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mig_core.store.base import Wakeups

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0


async def until_done(what: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``, which is repeated with jittered back-off while database or relay fail.

    Only for work that may be repeated. ``what`` names it in the log.
    """
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    since = cancels()
    while True:
        try:
            result = await work()
        except (StoreError, RelayError) as error:
            heed_cancels(since)
            pause = backoff.next()
            _log.warning("%s: %s; trying again in %.1f s", what, error, pause)
            await asyncio.sleep(pause)
        else:
            heed_cancels(since)
            return result


async def whenever_woken(
    wakeups: Wakeups,
    channel: str,
    what: str,
    work: Callable[[], Awaitable[bool]],
    *,
    interval: float,
    rest: float = 0.0,
) -> None:
    """Does ``work`` now, then at every wakeup, and at least every ``interval`` seconds; never returns.

    ``work`` returns whether there may be more to do at once. After it there is a rest of so many seconds: what comes
    meanwhile is worked on together.
    """
    async with wakeups.watch(channel) as watch:
        while True:
            if not await until_done(what, work):
                await asyncio.sleep(rest)
                await watch.wait(interval)


async def whenever(there_is: Callable[[], Awaitable[object]], what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Does ``work`` whenever ``there_is`` returns; never returns."""
    while True:
        await there_is()
        await until_done(what, work)


async def regularly(what: str, work: Callable[[], Awaitable[None]], *, interval: float) -> None:
    """Does ``work`` now and then every ``interval`` seconds; never returns."""
    while True:
        await until_done(what, work)
        await asyncio.sleep(interval)
