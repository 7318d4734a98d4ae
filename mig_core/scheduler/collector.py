"""Collecting: what agents sent is verified (:mod:`.reading`) and written into the books.

What changes nothing is counted under a name that says why. What the database will not take, or what breaks our own
code, is set aside, so that neither the same batch comes for ever nor the others wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mig_core.domain.command import CommandState
from mig_core.domain.messages import Kind
from mig_core.domain.result import claimed_command
from mig_core.scheduler.isolation import isolate
from mig_core.scheduler.loops import until_done
from mig_core.scheduler.reading import Reading, open_message, read_message, refused_check
from mig_core.store.rows import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.messages import Inbound
    from mig_core.relay.base import PlatformRelay
    from mig_core.scheduler.handed_over import HandedOver
    from mig_core.store.base import Store

R = TypeVar("R")
T = TypeVar("T")

BATCH = 400
"""Messages that are worked on together, at most."""
CROWD, REST = 3, 0.1
"""After so many batches without a pause between them, seconds of rest after each: many agents answer at this moment,
and what a batch costs is shared by all that came meanwhile. Who answers alone is recorded at once."""
LARGE = 64 << 10
"""Documents above this size are read in a thread, so that the others do not wait; results among them only when the
command they claim to answer is open."""

_log = logging.getLogger(__name__)


class Collector:
    """Reads one relay's inbound messages until the relay is closed."""

    def __init__(
        self,
        store: Store,
        relay: PlatformRelay,
        now: Callable[[], datetime],
        took_in: Callable[[str, Sequence[Inbound]], None] = lambda relay, messages: None,
        handed: HandedOver | None = None,
    ) -> None:
        self._store = store
        self._relay = relay
        self._now = now
        self._took_in = took_in
        self._handed = handed

    async def run(self) -> None:
        """Collects; a batch is acknowledged after what it says is committed, or set aside."""
        clock, ended, crowd = asyncio.get_running_loop().time, 0.0, 0
        async for batch in self._relay.batches(limit=BATCH):
            crowd = crowd + 1 if clock() - ended < REST else 0
            await self.collect(batch.messages)
            await batch.acknowledge()
            if crowd >= CROWD and len(batch.messages) < BATCH // 2:
                await asyncio.sleep(REST)
            ended = clock()
            self._took_in(self._relay.name, batch.messages)

    async def collect(self, messages: Sequence[Inbound]) -> None:
        """Verifies and records some messages. May be repeated: what was recorded before is a duplicate."""
        counted: Counter[str] = Counter()
        wanted = await self._wanted(messages, counted)
        readings = await self._read(wanted, counted)
        answers = [one for one in readings if one.answer is not None]
        heartbeats = [one for one in readings if one.heartbeat is not None]
        counted.update(one.counted for one in readings if one.counted)
        if answers:
            for one, error in await self._isolate("recording answers", answers, partial(self._record, counted)):
                await self._give_up(one, error, counted)
        if heartbeats:
            for one, error in await self._isolate("recording heartbeats", heartbeats, partial(self._beat, counted)):
                await self._give_up(one, error, counted)
        await self._count(counted)

    async def _wanted(self, messages: Sequence[Inbound], counted: Counter[str]) -> Sequence[Inbound]:
        """Without large results that no command waits for: reading one costs a hundred times what asking does."""
        large = [one for one in messages if one.kind is Kind.RESULT and len(one.body) > LARGE]
        if not large:
            return messages
        claims = [(claimed_command(one.body), one.agent) for one in large]
        open_ = await self._do("looking for commands", lambda: self._store.commands.awaited(claims))
        unwanted = {id(one): fate for one, fate in zip(large, open_, strict=True) if fate is not None}
        for one in large:
            if (fate := unwanted.get(id(one))) is not None:
                counted[f"result.{fate.value}"] += 1
                _log.info("a result of %d bytes by %s was not read: %s", len(one.body), one.agent, fate.value)
        return [one for one in messages if id(one) not in unwanted]

    async def _read(self, messages: Sequence[Inbound], counted: Counter[str]) -> list[Reading]:
        opened = await self._each(messages, messages, open_message, counted)
        signers = sorted({one.signer for one in opened if one.signer})
        keys = await self._do("looking for keys", lambda: self._store.agents.public_keys(signers))
        sources = [one.message for one in opened]
        return await self._each(opened, sources, lambda one: read_message(one, keys), counted)

    async def _each(
        self, things: Sequence[T], sources: Sequence[Inbound], work: Callable[[T], R], counted: Counter[str]
    ) -> list[R]:
        """The work's results; a message that breaks it is set aside. The large ones' is done in a thread."""
        results = []
        for one, message in zip(things, sources, strict=True):
            try:
                large = len(message.body) > LARGE
                results.append(await asyncio.to_thread(work, one) if large else work(one))
            except Exception as error:
                _log.exception("a message by %s broke the scheduler's own code", message.agent)
                await self._give_up(Reading(message), error, counted)
        return results

    async def _record(self, counted: Counter[str], readings: Sequence[Reading]) -> None:
        answers = [one.answer for one in readings if one.answer is not None]
        sent = None if self._handed is None else self._handed.sent
        outcome = await self._store.commands.record(answers, self._now(), settle=True, sent=sent)
        if self._handed is not None:
            final = zip(answers, outcome, strict=True)
            self._handed.answered(one.command for one, recording in final if recording is not Recording.FOREIGN)
        for answer, recording in zip(answers, outcome, strict=True):
            if recording is Recording.RECORDED and answer.state is CommandState.REFUSED:
                counted[f"refused.{refused_check(answer.reason)}"] += 1
            if recording is not Recording.RECORDED:
                counted[f"result.{recording.value}"] += 1
                _log.debug("answer to command %s of agent %s: %s", answer.command, answer.agent, recording.value)

    async def _beat(self, counted: Counter[str], readings: Sequence[Reading]) -> None:
        heartbeats = [one.heartbeat for one in readings if one.heartbeat is not None]
        changed = await self._store.agents.beat(heartbeats, self._now())
        counted["heartbeat.replayed"] += len(heartbeats) - len(changed)

    async def _give_up(self, reading: Reading, error: Exception, counted: Counter[str]) -> None:
        """Sets a message aside; the command it answers gets the reason instead."""
        message, reason = reading.message, f"{type(error).__name__}: {error}"
        number = await self._do(
            "setting a message aside",
            lambda: self._store.set_aside.put(self._relay.name, message, reason, self._now()),
        )
        counted[f"{message.kind.value}.set_aside"] += 1
        _log.error(
            "a %s of %d bytes by agent %s cannot be recorded and is set aside as number %d (mig-admin set-aside): %s",
            message.kind.value,
            len(message.body),
            message.agent,
            number,
            reason,
        )
        if reading.answer is None:
            return
        said = reading.answer
        why = (
            f"the agent answered ({said.state.value}), but the platform cannot record the answer;"
            f" it is set aside as number {number}: {error}"
        )
        instead = replace(said, state=CommandState.FAILED, reason=why[:2000], results=(), proof=None)
        for _, again in await self._isolate(
            "the reason instead", [instead], lambda some: self._store.commands.record(some, self._now(), settle=True)
        ):
            _log.error("command %s stays open until its window ends: %s", said.command, again)

    async def _count(self, counted: Mapping[str, int]) -> None:
        noteworthy = {name: count for name, count in counted.items() if count}
        if noteworthy:
            _log.info("relay %s: %s", self._relay.name, ", ".join(f"{name} {n}" for name, n in noteworthy.items()))
            await self._do("counting", lambda: self._store.numbers.count(noteworthy))

    async def _isolate(
        self, what: str, things: Sequence[T], work: Callable[[Sequence[T]], Awaitable[object]]
    ) -> list[tuple[T, Exception]]:
        return await isolate(f"relay {self._relay.name}: {what}", things, work, answers=self._store.ready)

    async def _do(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        return await until_done(f"relay {self._relay.name}: {what}", work)
