"""Fan-out: from a due action to one command for each targeted agent, and from queued commands to the relays.

Commands for the relay whose queue is in the database are sent with the fan-out; the others are queued, and as many as
a scheduler hands over at once are leased to it from the beginning. Both steps start from the tables and are leased row
by row, so any number of schedulers may run, and one that dies in between leaves nothing that another does not pick up.
Handing a command over twice is harmless: agents know the ids they have run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from mig_core.domain import envelope as envelopes
from mig_core.domain.command import COMMAND_HEAD, ActionState, CancelMessage, command_bytes, command_tail
from mig_core.domain.envelope import read_envelope
from mig_core.domain.messages import Outgoing
from mig_core.domain.target import parse_target
from mig_core.errors import InvalidDocument, RelayError, RelayRefused, StatementRefused
from mig_core.scheduler.isolation import is_outage
from mig_core.store.rows import AtOnce, Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import ActionId, CommandId
    from mig_core.relay.base import PlatformRelay
    from mig_core.scheduler.handed_over import HandedOver
    from mig_core.store.base import Store
    from mig_core.store.rows import ActionRow, Unsent, UnsentCancel

S = TypeVar("S")
T = TypeVar("T")

_BATCH = 500
_LEASE = timedelta(seconds=30)
"""How long another scheduler waits before it takes over commands that this one has claimed and not handed over."""
_REST = timedelta(seconds=10)
"""After which what a relay did not take is tried again: a node of a cluster may be down, and come back."""
_OWN, _OWN_BATCH = 10_000, 1000
"""Commands of one fan-out that its scheduler hands over itself, at most: it takes a third of the lease for so many."""
_MARGIN = timedelta(seconds=10)
"""Nothing is handed over any more when less is left of its lease: it is claimed anew, by whoever has the time."""

_log = logging.getLogger(__name__)


class FanOut:
    """Makes commands for actions whose window is open.

    Args:
        at_once: the relay whose queue is the store's own; empty: there is none.
        outbox: takes what is to be handed over by this scheduler; None: whoever claims it does.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], *, at_once: str = "", outbox: Outbox | None = None
    ) -> None:
        self._store = store
        self._now = now
        self._at_once = at_once
        self._outbox = outbox

    async def run_due(self) -> bool:
        """One round; returns whether there may be more."""
        due = await self._store.actions.due(now=self._now(), limit=_BATCH)
        for action in due:
            try:
                await self._fan_out(action)
            except Exception as error:
                if is_outage(error):
                    raise
                # It would fail at every try, and no other action would ever have its turn.
                _log.exception("action %s cannot be fanned out and is ended", action)
                await self._store.actions.abandon(action, f"it cannot be fanned out: {error}", now=self._now())
        return len(due) == _BATCH

    async def _fan_out(self, action: ActionId) -> None:
        row = await self._store.actions.get(action)
        at_once = _at_once(row, self._at_once)
        now = self._now()
        claim = None if self._outbox is None else Claim(self._outbox.relays, _OWN, _LEASE)
        made = await self._store.actions.fan_out(
            action, parse_target(row.target), now=now, at_once=at_once, claim=claim
        )
        if made is None:
            return
        _log.info("action %s %r: %d agents targeted", action, row.name[:80], made.count)
        if self._outbox is not None and made.claimed:
            self._outbox.take(made.claimed, until=now + _LEASE)


def _at_once(action: ActionRow, relay: str) -> AtOnce | None:
    """None also for an envelope that cannot be read: its commands are queued, and each ends with the reason."""
    if not relay:
        return None
    try:
        envelope = read_envelope(action.envelope, expected_type=envelopes.ACTION)
    except InvalidDocument:
        return None
    return AtOnce(relay, COMMAND_HEAD, command_tail(envelope))


class Outbox:
    """Hands queued commands and cancels to the relays.

    Args:
        handed: what was handed over is marked by it, a moment later; None: at once.
    """

    def __init__(
        self,
        store: Store,
        relays: Mapping[str, PlatformRelay],
        now: Callable[[], datetime],
        handed: HandedOver | None = None,
    ) -> None:
        self._store = store
        self._relays = relays
        self._now = now
        self._handed = handed
        self._own: deque[tuple[datetime, Sequence[Unsent]]] = deque()
        self._some = asyncio.Event()

    @property
    def relays(self) -> Sequence[str]:
        """Whose commands it hands over."""
        return tuple(self._relays)

    def take(self, commands: Sequence[Unsent], *, until: datetime) -> None:
        """Has :meth:`run_own` hand over what is leased to this scheduler until a moment."""
        self._own.extend((until, commands[at : at + _OWN_BATCH]) for at in range(0, len(commands), _OWN_BATCH))
        self._some.set()

    async def wait_for_own(self) -> None:
        """Until :meth:`run_own` has something to do."""
        await self._some.wait()

    async def run_own(self) -> None:
        """Hands over what was taken, by the action. What cannot be is claimed anew when its lease has ended."""
        self._some.clear()
        while self._own:
            until, commands = self._own.popleft()
            if self._now() + _MARGIN > until:
                continue
            ids = [one.id for one in commands]
            if not await self._is_wanted(commands[0].action):
                await self._store.commands.withdraw(ids, self._now(), lease=until)
                continue
            lost = await self._store.commands.no_longer_held(ids, until)  # we may have been taken for dead
            await self._hand_over_commands([one for one in commands if one.id not in lost], until)

    async def run(self) -> bool:
        """One round; returns whether there may be more.

        Cancels first: an agent that has the cancel does not begin with a command that is handed over again.
        """
        commands, names = self._store.commands, self.relays
        cancels = await commands.claim_unsent_cancels(names, limit=_BATCH, lease=_LEASE, now=self._now())
        if cancels:
            letters, unfit = _letters(cancels, _cancel_letter)
            confirmed, refused = await self._hand_over(letters)
            for index, reason in (unfit | refused).items():
                _log.error("the cancel of action %s cannot reach an agent: %s", cancels[index].action, reason)
            gone = (*confirmed, *unfit, *refused)
            await commands.mark_cancels_sent([(cancels[index].action, cancels[index].agent) for index in gone])
        now = self._now()
        unsent = await commands.claim_unsent(names, limit=_BATCH, lease=_LEASE, now=now)
        if unsent:
            await self._hand_over_commands(unsent, now + _LEASE)
        return len(unsent) == _BATCH or len(cancels) == _BATCH

    async def _is_wanted(self, action: ActionId) -> bool:
        """A cancel leaves to us what was leased to us: only we know what has left."""
        row = await self._store.actions.get(action)
        return row.state is ActionState.INFLIGHT and row.cancelled_by is None

    async def _hand_over_commands(self, unsent: Sequence[Unsent], until: datetime) -> None:
        """Hands over what is leased to this scheduler until a moment."""
        letters, unfit = _letters(unsent, _command_letter)
        confirmed, refused = await self._hand_over(letters)
        by_relay: dict[str, list[CommandId]] = defaultdict(list)
        for index in confirmed:
            by_relay[unsent[index].relay].append(unsent[index].id)
        for relay, sent in by_relay.items():
            if self._handed is None:
                await self._store.commands.mark_sent(sent, self._now(), relay=relay)
            else:
                self._handed.confirmed(relay, sent, self._now())
        for index, reason in (unfit | refused).items():
            _log.error("command %s cannot be handed to a relay: %s", unsent[index].id, reason)
            why = f"it cannot be handed to the relay: {reason}"
            await self._store.commands.abandon(unsent[index].id, why, self._now(), lease=until)
        if left := letters.keys() - set(confirmed) - refused.keys():
            again = self._now() + _REST
            await self._store.commands.give_back([unsent[index].id for index in left], again, lease=until)

    async def _hand_over(self, letters: Mapping[int, tuple[str, Outgoing]]) -> tuple[list[int], dict[int, str]]:
        """Publishes each letter on its relay; returns which were confirmed, and which can never be, with the reason."""
        by_relay: dict[str, list[int]] = defaultdict(list)
        for index, (relay, _) in letters.items():
            by_relay[relay].append(index)
        confirmed: list[int] = []
        refused: dict[int, str] = {}
        for relay, indices in by_relay.items():
            waiting = [indices]
            while waiting:
                some = waiting.pop()
                try:
                    confirmed += await self._publish(relay, {index: letters[index][1] for index in some})
                except (StatementRefused, RelayRefused) as error:
                    middle = len(some) // 2
                    if middle:
                        waiting += [some[middle:], some[:middle]]
                    else:
                        refused[some[0]] = str(error)
        return confirmed, refused

    async def _publish(self, relay: str, letters: Mapping[int, Outgoing]) -> list[int]:
        indices = list(letters)
        try:
            missing = frozenset(await self._relays[relay].publish(list(letters.values())))
        except RelayRefused:
            raise
        except RelayError as error:
            _log.warning("relay %s: %s; %d messages wait for the next round", relay, error, len(indices))
            return []
        if missing:
            _log.warning("relay %s did not confirm %d of %d messages", relay, len(missing), len(indices))
        return [index for place, index in enumerate(indices) if place not in missing]


def _letters(
    rows: Sequence[T], letter: Callable[[T, dict[ActionId, S]], tuple[str, Outgoing]]
) -> tuple[dict[int, tuple[str, Outgoing]], dict[int, str]]:
    """By index the letters, and for what none can be written the reason."""
    letters: dict[int, tuple[str, Outgoing]] = {}
    unfit: dict[int, str] = {}
    read: dict[ActionId, S] = {}
    for index, row in enumerate(rows):
        try:
            letters[index] = letter(row, read)
        except InvalidDocument as error:
            unfit[index] = str(error)
    return letters, unfit


def _command_letter(row: Unsent, tails: dict[ActionId, bytes]) -> tuple[str, Outgoing]:
    if row.action not in tails:
        tails[row.action] = command_tail(read_envelope(row.envelope, expected_type=envelopes.ACTION))
    body = command_bytes(row.id, row.agent, tails[row.action])
    return row.relay, Outgoing(row.agent, body, row.expire_after, kept=True)


def _cancel_letter(row: UnsentCancel, read: dict[ActionId, Envelope]) -> tuple[str, Outgoing]:
    if row.action not in read:
        read[row.action] = read_envelope(row.envelope, expected_type=envelopes.CANCEL)
    return row.relay, Outgoing(row.agent, CancelMessage(row.agent, read[row.action]).to_bytes(), row.expire_after)
