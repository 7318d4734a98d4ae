"""Fan-out: from a due action to one queued command for each targeted agent, and from queued commands to the relays.

Both steps start from the tables and are leased row by row, so any number of schedulers may run, and one that dies in
between leaves nothing that another does not pick up. Handing a command over twice is harmless: agents know the ids they
have run.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.command import CancelMessage, CommandMessage
from mig_core.domain.envelope import read_envelope
from mig_core.domain.messages import Outgoing
from mig_core.domain.target import parse_target
from mig_core.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import ActionId
    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Store
    from mig_core.store.rows import Unsent, UnsentCancel

_BATCH = 500
_LEASE = timedelta(seconds=30)
"""How long another scheduler waits before it takes over commands that this one has claimed and not handed over."""

_log = logging.getLogger(__name__)


class FanOut:
    """Makes commands for actions whose window is open."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def run_due(self) -> bool:
        """One round; returns whether there may be more."""
        due = await self._store.actions.due(now=self._now(), limit=_BATCH)
        for action in due:
            row = await self._store.actions.get(action)
            targeted = await self._store.actions.fan_out(action, parse_target(row.target), now=self._now())
            if targeted is not None:
                _log.info("action %s %r: %d agents targeted", action, row.name[:80], targeted)
        return len(due) == _BATCH


class Outbox:
    """Hands queued commands and cancels to the relays."""

    def __init__(self, store: Store, relays: Mapping[str, PlatformRelay], now: Callable[[], datetime]) -> None:
        self._store = store
        self._relays = relays
        self._now = now

    async def run(self) -> bool:
        """One round; returns whether there may be more."""
        commands, names = self._store.commands, tuple(self._relays)
        unsent = await commands.claim_unsent(names, limit=_BATCH, lease=_LEASE, now=self._now())
        if unsent:
            handed_over = await self._hand_over(_command_letters(unsent))
            await commands.mark_sent([unsent[index].id for index in handed_over], self._now())
        cancels = await commands.claim_unsent_cancels(names, limit=_BATCH, lease=_LEASE, now=self._now())
        if cancels:
            told = await self._hand_over(_cancel_letters(cancels))
            await commands.mark_cancels_sent([(cancels[index].action, cancels[index].agent) for index in told])
        return len(unsent) == _BATCH or len(cancels) == _BATCH

    async def _hand_over(self, letters: Sequence[tuple[str, Outgoing]]) -> Sequence[int]:
        """Publishes each letter on its relay; returns the indices of those that were confirmed."""
        by_relay: dict[str, list[int]] = defaultdict(list)
        for index, (relay, _) in enumerate(letters):
            by_relay[relay].append(index)
        confirmed: list[int] = []
        for relay, indices in by_relay.items():
            try:
                missing = frozenset(await self._relays[relay].publish([letters[index][1] for index in indices]))
            except RelayError as error:
                _log.warning("relay %s: %s; %d messages wait for the next round", relay, error, len(indices))
                continue
            if missing:
                _log.warning("relay %s did not confirm %d of %d messages", relay, len(missing), len(indices))
            confirmed += [index for place, index in enumerate(indices) if place not in missing]
        return confirmed


def _command_letters(rows: Sequence[Unsent]) -> list[tuple[str, Outgoing]]:
    letters = []
    read: dict[ActionId, Envelope] = {}
    for row in rows:
        if row.action not in read:
            read[row.action] = read_envelope(row.envelope, expected_type=envelopes.ACTION)
        body = CommandMessage(row.id, row.agent, read[row.action]).to_bytes()
        letters.append((row.relay, Outgoing(row.agent, body, row.expire_after)))
    return letters


def _cancel_letters(rows: Sequence[UnsentCancel]) -> list[tuple[str, Outgoing]]:
    letters = []
    for row in rows:
        cancel = read_envelope(row.envelope, expected_type=envelopes.CANCEL)
        body = CancelMessage(row.agent, cancel).to_bytes()
        letters.append((row.relay, Outgoing(row.agent, body, row.expire_after)))
    return letters
