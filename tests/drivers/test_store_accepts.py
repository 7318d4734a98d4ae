"""Whatever the readers accept, PostgreSQL takes: no document of one agent can stop those of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mig_core.domain.agent import read_enrolment, read_heartbeat
from mig_core.domain.ids import ActionId, CommandId, agent_id
from mig_core.domain.result import read_answer
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument
from mig_core.store.rows import Recording
from mig_core.testing.document_strategies import answer_payloads, enrolment_payloads, heartbeat_payloads
from mig_core.testing.store_samples import NOW, action, digest, enrolled, sample_agent_id, scheduled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from mig_core.store.postgres import PostgresStore
    from mig_core.store.rows import CommandRow

AGENT = sample_agent_id("web1")
CLEAN = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


class Open:
    """A store that lasts for all examples of a test."""

    def __init__(self, store: PostgresStore, runner: asyncio.Runner) -> None:
        self.store = store
        self.runner = runner
        self.number = 0

    async def question(self) -> CommandRow:
        """A new question to the agent."""
        self.number += 1
        asked = action(f"number {self.number}")
        await scheduled(self.store, asked)
        await self.store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW)
        (command,), _ = await self.store.commands.list(asked.id)
        return command


@pytest.fixture
def books(store: PostgresStore, store_runner: asyncio.Runner) -> Iterator[Open]:
    store_runner.run(enrolled(store, "web1"))
    yield Open(store, store_runner)


@given(data=st.data())
@CLEAN
def test_every_heartbeat_that_can_be_read_can_be_recorded_and_shown(books: Open, data: st.DataObject) -> None:
    try:
        heartbeat = read_heartbeat(data.draw(heartbeat_payloads(AGENT)))
    except InvalidDocument:
        assume(False)
    books.number += 1

    async def scenario() -> None:
        changed = await books.store.agents.beat([replace(heartbeat, sequence=books.number)], NOW)
        rows, cursor = await books.store.agents.list(now=NOW, limit=1)

        assert changed == [AGENT]
        assert rows[0].id == AGENT
        assert await books.store.agents.list(now=NOW, cursor=cursor) == ([], "")
        assert (await books.store.numbers.dashboard(NOW))["agents"] == {"online": 1}

    books.runner.run(scenario())


@given(data=st.data())
@CLEAN
def test_every_enrolment_that_can_be_read_can_be_stored(books: Open, data: st.DataObject) -> None:
    books.number += 1
    key = digest(f"key {books.number}")
    try:
        enrolment = read_enrolment(data.draw(enrolment_payloads(agent_id(key), key)))
    except InvalidDocument:
        assume(False)

    row = books.runner.run(books.store.agents.enrol(enrolment, approved=False, token_digest=b"t", now=NOW))

    assert row.id == agent_id(key)
    assert format_time(enrolment.sent)
    books.runner.run(books.store.agents.forget_pending(before=NOW.replace(year=9999) + timedelta(days=1)))


@given(data=st.data())
@CLEAN
def test_every_answer_that_can_be_read_can_be_recorded_and_shown(books: Open, data: st.DataObject) -> None:
    command = books.runner.run(books.question())
    try:
        answer = read_answer(data.draw(answer_payloads(AGENT, CommandId(command.id), ActionId(command.action))))
    except InvalidDocument:
        assume(False)

    async def scenario() -> None:
        assert await books.store.commands.record([answer], NOW) == [Recording.RECORDED]
        shown = await books.store.commands.get(command.action, AGENT)
        assert shown.state is answer.state
        await books.store.actions.settle(NOW)

    books.runner.run(scenario())
