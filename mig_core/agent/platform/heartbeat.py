"""Heartbeats: signed, numbered signs of life with the agent's facts and counters.

The number only ever grows, across restarts and lost state too: it is the time in milliseconds, or one more than the
last one where the clock stands still or goes back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import MAX_HEARTBEAT_BYTES, Heartbeat
from mig_core.durable import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.document import JSON
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)


class Heartbeats:
    """Makes them. Used by one thread.

    Args:
        key: signs.
        path: keeps the last number.
        facts: the agent's facts now.
        statistics: its counters now.
        clock: the time now.
        persistent: the health of its persistent modules now.
    """

    def __init__(
        self,
        key: AgentKey,
        path: Path,
        *,
        facts: Callable[[], AgentFacts],
        statistics: Callable[[], Mapping[str, int]],
        clock: Callable[[], datetime],
        persistent: Callable[[], Mapping[str, JSON]] = dict,
    ) -> None:
        self._key = key
        self._path = path
        self._facts = facts
        self._statistics = statistics
        self._clock = clock
        self._persistent = persistent
        self._last = self._load()

    def make(self, spool: Mapping[str, JSON] | None = None, *, leaving: bool = False) -> bytes:
        """The next heartbeat's signed envelope; the last one says that the agent is ``leaving``.

        Args:
            spool: what waits for the relay.

        Raises:
            OSError: its number could not be kept; do not send it.
        """
        now = self._clock()
        sequence = max(self._last + 1, int(now.timestamp() * 1000))
        replace_file(self._path, b"%d\n" % sequence)
        self._last = sequence
        statistics, persistent = self._statistics(), self._persistent()
        heartbeat = Heartbeat(self._facts(), sequence, now, statistics, persistent, spool or {}, leaving=leaving)
        return self._key.sign(envelopes.HEARTBEAT, _fitting(heartbeat)).to_bytes()

    def _load(self) -> int:
        try:
            return int(self._path.read_bytes()[:40])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read, numbering by the clock alone: %s", self._path, error)
            return 0


def _fitting(heartbeat: Heartbeat) -> bytes:
    """Its payload; of one that is larger than is accepted without details, so that the agent stays visible."""
    payload = heartbeat.to_payload()
    if len(payload) <= MAX_HEARTBEAT_BYTES:
        return payload
    problem = f"the heartbeat has {len(payload)} bytes, more than are accepted: details are left out"
    log.error("%s", problem)
    facts = replace(heartbeat.facts, failures={"heartbeat": problem})
    brief = replace(heartbeat, facts=facts, persistent={}, spool={})
    payload = brief.to_payload()
    if len(payload) > MAX_HEARTBEAT_BYTES:
        payload = replace(brief, facts=replace(facts, environment={}, tags={})).to_payload()
    return payload
