"""Sending answers from the spool to the relay: each with its own attempts, none in the way of another.

An answer that fails while others get through is refused for a reason of its own. It is tried some more times, and given
up before its action's window ends: a short answer with the reason goes in its place, so that the platform's books say
what happened. What cannot be told so any more is told with the heartbeats (:mod:`.records.lost_answers`).
"""

from __future__ import annotations

import logging
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.messages import Kind
from mig_core.domain.times import format_time
from mig_core.errors import RelayDenied, RelayError, RelayRefused, RelayUnwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.agent.counters import Counters
    from mig_core.agent.records.spool import Lane, Spool, Spooled, Waiting
    from mig_core.domain.document import JSON


log = logging.getLogger(__name__)

REFUSALS = 4
"""So often is an answer tried that is refused while others get through."""
LAST_CALL = 20.0
"""Seconds before the window's end until which the reason must be under way, to be in the books in time."""
TOO_LATE = 3600.0
"""Seconds after the window's end: nobody waits any more, however wrong this machine's clock is."""
LONGEST = 31 * 86400.0
"""How long an answer is kept whose window is not known."""
_OUTAGE = (0.5, 30.0)
_REFUSED = (10.0, 30.0)
_OWN = (10.0, 600.0)
"""First and longest pause."""
_HEARTBEAT_EVERY = 15.0
_SHOWN = 5


class Sender:
    """Sends what is in the spool. One thread for each lane calls :meth:`run`.

    Args:
        spool: the answers.
        publish: hands one to the relay; raises as :meth:`mig_core.relay.base.AgentRelay.publish`.
        instead: makes a short signed answer that stands for one that cannot be sent, and stores it; None when it
            cannot be made.
        heartbeat_soon: asks for a heartbeat, which tells whether the login or the answer is refused.
        clock: seconds since 1970.
        pace: how much of the usual pauses; less in tests.
    """

    def __init__(
        self,
        spool: Spool,
        publish: Callable[[Kind, bytes], None],
        *,
        instead: Callable[[Spooled, str], Spooled | None],
        counters: Counters,
        heartbeat_soon: Callable[[], None],
        clock: Callable[[], float] = time.time,
        pace: float = 1.0,
    ) -> None:
        self._spool = spool
        self._publish = publish
        self._instead = instead
        self._counters = counters
        self._heartbeat_soon = heartbeat_soon
        self._clock = clock
        self._pace = pace
        self._successes = 0
        self._asked = -_HEARTBEAT_EVERY

    def run(self, lane: Lane) -> None:
        """Sends until the spool is closed."""
        while (one := self._spool.take(lane)) is not None:
            self._send(one)

    def relay_works(self) -> None:
        """Something else got through, a heartbeat for example."""
        self._successes += 1
        self._spool.relay_works()

    def report(self) -> Mapping[str, JSON]:
        """What heartbeats say of the spool."""
        waiting = self._spool.waiting()
        oldest = min((one.since for one in waiting), default=None)
        troubled = sorted((one for one in waiting if one.problem), key=lambda one: one.since)
        report: dict[str, JSON] = {
            "answers": len(waiting),
            "bytes": self._spool.held,
            "limit": self._spool.max_bytes,
            "full": self._spool.full,
            "oldest": None if oldest is None else _time(oldest),
            "troubled": [_trouble(one) for one in troubled[:_SHOWN]],
            "lost": self._spool.lost.lines(),
        }
        try:
            disk = shutil.disk_usage(self._spool.directory)
            report |= {"disk_free": disk.free, "disk_total": disk.total}
        except OSError as error:
            report["disk"] = str(error)
        return report

    def _send(self, one: Waiting) -> None:
        if self._is_too_late(one):
            self._lose(one, f"its window ended long ago; last: {one.problem or 'there was no relay'}")
            return
        try:
            body = one.spooled.read()
        except OSError as error:
            self._give_up(one, f"it cannot be read from the spool: {error}")
            return
        try:
            self._publish(Kind.RESULT, body)
        except RelayUnwanted as error:
            log.warning("the answer to command %s is dropped: %s", one.spooled.command, error)
            self._counters.count("answers_unwanted")
            self._spool.remove(one)
        except RelayError as error:
            self._failed(one, error)
        else:
            self._counters.count("answers_sent")
            self._spool.remove(one)
            self.relay_works()

    def _failed(self, one: Waiting, error: RelayError) -> None:
        refused = isinstance(error, RelayRefused | RelayDenied)
        others_pass = bool(one.problem) and self._successes > one.mark
        own, one.mark = one.own or others_pass, self._successes
        one.refusals += others_pass
        if own and (self._is_last_call(one) or (refused and one.refusals >= REFUSALS)):
            self._give_up(one, str(error))
            return
        first, longest = _OWN if own else _REFUSED if refused else _OUTAGE
        pause = min(longest, first * 2 ** min(one.tries, 10)) * self._pace
        log.warning(
            "the answer to command %s is tried again in %.0f s, %d answers wait: %s",
            one.spooled.command,
            pause,
            len(self._spool),
            error,
        )
        self._spool.put_back(one, str(error), pause, refused=refused, own=own)
        now = time.monotonic()
        if refused and now - self._asked >= _HEARTBEAT_EVERY * self._pace:
            self._asked = now
            self._heartbeat_soon()

    def _give_up(self, one: Waiting, why: str) -> None:
        """Sends a short answer with the reason instead."""
        spooled = one.spooled
        stored = None
        if not one.stands_in:
            try:
                stored = self._instead(spooled, f"the answer ({spooled.size} bytes) could not be sent: {why}")
            except OSError as error:
                log.error("no reason can be stored for command %s: %s", spooled.command, error)
        self._lose(one, why)
        if stored is not None:
            self._spool.offer(stored, stands_in=True)

    def _lose(self, one: Waiting, why: str) -> None:
        log.error("the answer to command %s is given up: %s", one.spooled.command, why)
        self._counters.count("answers_lost")
        self._spool.lost.add(one.spooled.command, why)
        self._spool.remove(one)

    def _is_last_call(self, one: Waiting) -> bool:
        return bool(one.spooled.until) and self._clock() >= one.spooled.until - LAST_CALL

    def _is_too_late(self, one: Waiting) -> bool:
        end = one.spooled.until + TOO_LATE if one.spooled.until else one.since + LONGEST
        return self._clock() > end


def _trouble(one: Waiting) -> JSON:
    return {
        "command": one.spooled.command,
        "bytes": one.spooled.size,
        "since": _time(one.since),
        "tries": one.tries,
        "problem": one.problem[:300],
    }


def _time(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(int(seconds), UTC))
