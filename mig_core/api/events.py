"""An action's answers as they come in: server-sent events that can be resumed at any position.

The stream looks at the tables after each wakeup and never relies on it: a missed one only costs the time until the next
comment line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from mig_core.api.actions import action_id
from mig_core.api.documents import action_document, command_line
from mig_core.api.exchange import Bound, Call, Event, Parameter, Reply, Route
from mig_core.domain.document import dump
from mig_core.errors import ApiError, InvalidDocument, MigError
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
    from datetime import datetime

    from mig_core.api.metrics import Metrics
    from mig_core.api.polls import Waiters
    from mig_core.domain.ids import ActionId
    from mig_core.store.base import Store
    from mig_core.store.rows import CommandRow

log = logging.getLogger(__name__)

COMMENT_INTERVAL = 15.0
"""Seconds between comment lines while nothing happens; they keep proxies from closing the connection."""
ACTION_INTERVAL = 0.2
"""Least seconds between two ``action`` events."""
SESSION_INTERVAL = 5.0
"""Most seconds between two looks at the session; there is one before any answer is read, too."""
PAGE = 200
"""Answers read at once, unless they are large."""
CROWD, CROWD_PAUSE = 20, 0.1
"""After a page of so many answers, seconds until the next look; behind a full one more wait already."""
SMALL = 64 << 10
"""Bytes of results; where fewer were read at once, none that was there was left out."""
MAX_POSITION = 200


class EventResources:
    """The stream of one action."""

    def __init__(self, store: Store, waiters: Waiters, metrics: Metrics, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._waiters = waiters
        self._metrics = metrics
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/actions/{action}/events",
                "Answers as they come in: events `command`, `action`, and `end`",
                Permission.READ,
                media="text/event-stream",
                response="Events",
                query=(
                    Parameter("position", "id of the last event that was seen; the header Last-Event-ID also works"),
                    Parameter("tick", "seconds until a comment line while nothing happens; 1 to 15", "integer"),
                ),
            ),
            self.follow,
        )

    async def follow(self, call: Call) -> Reply:
        """GET /actions/{action}/events"""
        identifier = action_id(call)
        position = call.query.get("position", "") or call.headers.get("last-event-id", "")
        if len(position) > MAX_POSITION or not position.isprintable():
            raise InvalidDocument("request", "is not a position that this API gave out", path="position")
        tick = call.whole_number("tick", default=round(COMMENT_INTERVAL), minimum=1, maximum=round(COMMENT_INTERVAL))
        events = self._events(call, identifier, position, tick)
        # What is wrong shows here, while there can still be a problem document, and not in the middle of the stream.
        first = await anext(events, ())
        return Reply(events=self._guarded(call, identifier, first, events))

    async def _guarded(
        self, call: Call, action: ActionId, first: Sequence[Event], rest: AsyncGenerator[Sequence[Event]]
    ) -> AsyncIterator[Sequence[Event]]:
        """The stream; when the store fails it just ends, and the client comes back with its last position."""
        self._metrics.streams += 1
        try:
            async with contextlib.aclosing(rest):
                yield first
                async for events in rest:
                    yield events
        except MigError as error:
            log.warning("stream of action %s (request %s) ended: %s", action, call.request_id, error)
        finally:
            self._metrics.streams -= 1

    async def _events(
        self, call: Call, action: ActionId, position: str, tick: float
    ) -> AsyncGenerator[Sequence[Event]]:
        last, spoken = b"", 0.0
        async with self._store.wakeups.watch("action", action) as watch:
            with self._waiters.enter(call.disconnected) as waiter:
                while waiter.ended is None:
                    # The action first: what is final now has all its commands in what is read after it.
                    row = await self._store.actions.get(action)
                    commands = await self._store.commands.finished_since(action, position=position, limit=PAGE)
                    events = [Event("command", command_line(one), one.position) for one in commands]
                    if commands:
                        position = commands[-1].position
                    document = dump(action_document(row))
                    moment = time.monotonic()
                    if document != last and moment - spoken >= ACTION_INTERVAL:
                        events.append(Event("action", document, position))
                        last, spoken = document, moment
                    were_all = _were_all(commands)
                    if row.state.is_final and were_all:
                        yield [*events, Event("end", document, position)]
                        return
                    if events:
                        yield events
                    if were_all:
                        pause = ACTION_INTERVAL if document != last else min(SESSION_INTERVAL, tick)
                        await waiter.wait(watch, pause)
                        if time.monotonic() - spoken >= tick:
                            yield [Event()]
                            spoken = time.monotonic()
                    else:
                        # When many answer at once, more are there in a moment: they are told together.
                        await asyncio.sleep(CROWD_PAUSE if CROWD <= len(commands) < PAGE else 0.0)
                    await self._check_session(call)

    async def _check_session(self, call: Call) -> None:
        investigator = await self._store.investigators.session(call.session_digest, self._clock())
        if investigator is None or Permission.READ not in investigator.permissions:
            raise ApiError(401, f"{call.caller.name} may not read any more")


def _were_all(commands: Sequence[CommandRow]) -> bool:
    """Whether a page held all there were, so that the next look waits for the wakeup that more would bring."""
    return len(commands) < CROWD and sum(len(one.results_text or "") for one in commands) < SMALL
