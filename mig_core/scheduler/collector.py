"""Collecting: what agents sent is verified against their pinned keys and written into the books.

The relay's word about the sender proves nothing: a document counts only when the agent's own signature does, when it
speaks of that agent, and when the command was sent to it. Everything else changes nothing and is counted under a name
that says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import read_heartbeat
from mig_core.domain.envelope import read_envelope
from mig_core.domain.ids import check_agent_id
from mig_core.domain.messages import Kind
from mig_core.domain.result import read_answer
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.identity import verify_agent
from mig_core.scheduler.loops import until_done
from mig_core.store.rows import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.agent import Heartbeat
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Inbound
    from mig_core.domain.result import Answer
    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Store

_LARGE = 256 << 10
"""Documents above this size are read in a thread, so that the others do not wait."""

_PAYLOAD_TYPES = {Kind.RESULT: envelopes.RESULT, Kind.HEARTBEAT: envelopes.HEARTBEAT}
_MAX_BYTES = {Kind.RESULT: envelopes.MAX_RESULT_BYTES, Kind.HEARTBEAT: envelopes.MAX_ACTION_BYTES}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sorted:
    """What a batch of messages amounts to."""

    answers: list[Answer] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)


class Collector:
    """Reads one relay's inbound messages until the relay is closed."""

    def __init__(self, store: Store, relay: PlatformRelay, now: Callable[[], datetime]) -> None:
        self._store = store
        self._relay = relay
        self._now = now

    async def run(self) -> None:
        """Collects; a batch is acknowledged after what it says is committed."""
        async for batch in self._relay.batches():
            what = f"collecting from relay {self._relay.name}"
            await until_done(what, partial(self.collect, batch.messages))
            await batch.acknowledge()

    async def collect(self, messages: Sequence[Inbound]) -> None:
        """Verifies and records some messages. May be repeated: what was recorded before is a duplicate."""
        opened = [(message, _open(message)) for message in messages]
        keys = await self._store.agents.public_keys(sorted({signer for _, (_, signer) in opened if signer}))
        sorted_ = _Sorted()
        for message, (envelope, signer) in opened:
            if len(message.body) > _LARGE:
                await asyncio.to_thread(_sort, message, envelope, signer, keys, sorted_)
            else:
                _sort(message, envelope, signer, keys, sorted_)
        await self._record(sorted_)

    async def _record(self, sorted_: _Sorted) -> None:
        now, counted = self._now(), sorted_.counted
        if sorted_.answers:
            for answer, recording in zip(
                sorted_.answers, await self._store.commands.record(sorted_.answers, now), strict=True
            ):
                if recording is not Recording.RECORDED:
                    counted[f"result.{recording.value}"] += 1
                    _log.debug("answer to command %s of agent %s: %s", answer.command, answer.agent, recording.value)
            await self._store.actions.settle(now)
        if sorted_.heartbeats:
            changed = await self._store.agents.beat(sorted_.heartbeats, now)
            counted["heartbeat.replayed"] += len(sorted_.heartbeats) - len(changed)
        noteworthy = {name: count for name, count in counted.items() if count}
        if noteworthy:
            _log.info("relay %s: %s", self._relay.name, ", ".join(f"{name} {n}" for name, n in noteworthy.items()))
            await self._store.numbers.count(noteworthy)


def _open(message: Inbound) -> tuple[Envelope | None, AgentId | None]:
    """The envelope, and who claims to have signed it; (None, None) when it is not an envelope."""
    try:
        envelope = read_envelope(
            message.body, expected_type=_PAYLOAD_TYPES[message.kind], max_bytes=_MAX_BYTES[message.kind]
        )
        return envelope, check_agent_id(envelope.signatures[0].keyid, subject="envelope", path="signatures[0].keyid")
    except InvalidDocument as error:
        _log.debug("a %s that came from %s cannot be read: %s", message.kind.value, message.agent, error)
        return None, None


def _sort(
    message: Inbound, envelope: Envelope | None, signer: AgentId | None, keys: Mapping[AgentId, bytes], into: _Sorted
) -> None:
    kind = message.kind.value
    if envelope is None or signer is None:
        into.counted[f"{kind}.malformed"] += 1
        return
    if signer not in keys or signer != message.agent:
        into.counted[f"{kind}.foreign"] += 1
        _log.debug("a %s by %s came over the relay login of %s, or the agent is not known", kind, signer, message.agent)
        return
    try:
        verify_agent(envelope, keys[signer])
        if message.kind is Kind.RESULT:
            answer = read_answer(envelope.payload)
            speaks_of = answer.agent
            if speaks_of == signer:
                into.answers.append(answer)
        else:
            heartbeat = read_heartbeat(envelope.payload)
            speaks_of = heartbeat.facts.id
            if speaks_of == signer:
                into.heartbeats.append(heartbeat)
    except SignatureInvalid:
        into.counted[f"{kind}.forged"] += 1
    except InvalidDocument as error:
        into.counted[f"{kind}.malformed"] += 1
        _log.debug("a %s signed by %s cannot be read: %s", kind, signer, error)
    else:
        into.counted[f"{kind}.foreign"] += speaks_of != signer
