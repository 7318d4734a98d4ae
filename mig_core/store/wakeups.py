"""Wakeups: one LISTEN connection a process, which wakes the coroutines that wait.

The connection is made anew whenever it breaks; then everybody is woken once, because something may have been missed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from mig_core.cancelling import cancels, heed_cancels
from mig_core.errors import StoreUnavailable
from mig_core.network.backoff import Backoff
from mig_core.store.database import KEEPALIVES
from mig_core.store.notify import CHANNELS, PREFIX, SEPARATOR
from mig_core.store.urls import without_password

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from mig_core.store.database import StoreLimits

log = logging.getLogger(__name__)

CHECK_INTERVAL = 30.0
"""Seconds of silence after which the connection is tried."""
MAX_PAUSE = 5.0
"""Seconds between two attempts to connect, at most."""


class PostgresWatch:
    """:class:`mig_core.store.base.Watch`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Lets ``wait`` return."""
        self._event.set()

    async def wait(self, timeout: float) -> bool:
        """See the protocol."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class PostgresWakeups:
    """:class:`mig_core.store.base.Wakeups` over LISTEN/NOTIFY. For one event loop."""

    def __init__(self, url: str, *, limits: StoreLimits) -> None:
        self._limits = limits
        self._url = url
        self._watches: dict[tuple[str, str], set[PostgresWatch]] = {}
        self._hearers: dict[str, list[Callable[[Sequence[str]], None]]] = {}
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listens.

        Raises:
            StoreUnavailable: not within the limit.
        """
        self._task = asyncio.create_task(self._run(), name="mig-store-wakeups")
        try:
            async with asyncio.timeout(max(self._limits.connect, self._limits.connection)):
                await self._listening.wait()
        except TimeoutError as error:
            await self.close()
            raise StoreUnavailable("the database does not let this program listen for wakeups") from error

    async def close(self) -> None:
        """Ends the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def watch(self, channel: str, key: str = "") -> AsyncIterator[PostgresWatch]:
        """See the protocol. Without ``key``: whatever happens on the channel."""
        if channel not in CHANNELS:
            raise ValueError(f"no such channel: {channel}")
        watch = PostgresWatch()
        watches = self._watches.setdefault((channel, key), set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches and self._watches.get((channel, key)) is watches:
                del self._watches[channel, key]

    def hear(self, channel: str, call: Callable[[Sequence[str]], None]) -> None:
        """See the protocol."""
        if channel not in CHANNELS:
            raise ValueError(f"no such channel: {channel}")
        self._hearers.setdefault(channel, []).append(call)

    async def _run(self) -> None:
        backoff = Backoff(0.05, MAX_PAUSE)
        since = cancels()
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, application_name="mig-wakeups", connect_timeout=10, **KEEPALIVES
                ) as connection:
                    for channel in CHANNELS:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(PREFIX + channel)))
                    backoff.reset()
                    self._listening.set()
                    self._wake_all()
                    await self._listen(connection)
            except (psycopg.Error, OSError) as error:
                heed_cancels(since)
                log.warning(
                    "wakeups: connection to the database lost, trying again: %s", without_password(error, self._url)
                )
            self._listening.clear()
            await asyncio.sleep(backoff.next())

    async def _listen(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            async for notification in connection.notifies(timeout=CHECK_INTERVAL):
                self._dispatch(notification.channel.removeprefix(PREFIX), notification.payload)
            await connection.execute("SELECT 1")

    def _dispatch(self, channel: str, payload: str) -> None:
        keys = payload.split(SEPARATOR)
        for call in self._hearers.get(channel, ()):
            call(keys)
        for key in {"", *keys}:
            for watch in self._watches.get((channel, key), ()):
                watch.wake()

    def _wake_all(self) -> None:
        for calls in self._hearers.values():
            for call in calls:
                call(())
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
