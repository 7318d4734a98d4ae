"""Contract of :class:`mig_core.store.base.Commands` on the way back: answers, lists, followers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.ids import CommandId
from mig_core.domain.proof import Proof
from mig_core.errors import InvalidDocument, NotFound
from mig_core.store.rows import Recording
from mig_core.testing.store_samples import (
    NOW,
    SIGNER,
    action,
    answer,
    fanned_out,
    later,
    module_result,
    sample_agent_id,
)

if TYPE_CHECKING:
    from mig_core.store.base import Store

STRANGE = {"nul": "a\x00b", "\x00key": ["\ud800", "\\u0000", float("inf")], "deep": [{"x": None}]}


class CommandsContract:
    """Answers."""

    def test_an_answer_closes_the_books_once(self, store: Store, store_runner: asyncio.Runner) -> None:
        """A second one changes nothing, be it the same or another."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1")
            first = answer(command, results=[module_result(elements={"a": [1]})], reason="why")

            outcome = await store.commands.record([first], later(1))
            row = await store.commands.get(command.action, command.agent)
            again = await store.commands.record([first, answer(command, state=CommandState.FAILED)], later(2))

            assert outcome == [Recording.RECORDED]
            assert again == [Recording.DUPLICATE, Recording.DUPLICATE]
            assert row == await store.commands.get(command.action, command.agent)
            assert (row.state, row.reason, row.found, row.complete) == (CommandState.SUCCESS, "why", True, True)
            assert row.results == [module_result(elements={"a": [1]}).to_json()]
            assert (row.finished_at, row.sent_at) == (later(1), later(1))

        store_runner.run(scenario())

    def test_what_a_relay_may_have_lost_is_handed_over_again_until_it_is_answered(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It stays sent all the while. Cancelled or not: an agent that has the cancel says so."""

        async def scenario() -> None:
            lost, answered = sorted(await fanned_out(store, "web1", "web2"), key=lambda one: one.id)
            (stopped,) = await fanned_out(store, "web3", asked=action("stopped", target="name = 'web3'"))
            commands, lease = store.commands, timedelta(seconds=30)
            await commands.claim_unsent(["https"], limit=9, lease=lease, now=NOW)
            await commands.mark_sent([lost.id, answered.id, stopped.id], NOW)
            before = await commands.unanswered("https", after=None, limit=9, now=later(1))
            await commands.record([answer(answered)], later(1))
            await store.actions.cancel(stopped.action, b"cancel", by=SIGNER, now=later(1))

            open_ = await commands.unanswered("https", after=None, limit=9, now=later(2))
            rest = await commands.unanswered("https", after=open_[0].id, limit=9, now=later(2))
            again = await commands.hand_over_again([lost.id, answered.id], later(2))
            twice = await commands.hand_over_again([lost.id], later(2))
            watched = await store.numbers.watched(later(5))
            dashboard = await store.numbers.dashboard(later(5))
            (unsent,) = await commands.claim_unsent(["https"], limit=9, lease=lease, now=later(2))
            row = await commands.get(lost.action, lost.agent)
            under_way = await store.actions.get(lost.action)
            await commands.mark_sent([lost.id], later(3))

            assert {one.id for one in before} == {lost.id, answered.id, stopped.id}
            assert [one.id for one in open_] == sorted([lost.id, stopped.id])
            assert {(one.agent, one.sent_at) for one in open_} == {(lost.agent, NOW), (stopped.agent, NOW)}
            assert rest == open_[1:]
            assert (again, twice, unsent.id, row.state) == (1, 0, lost.id, CommandState.SENT)
            assert (watched.waiting["commands"], watched.oldest["commands"]) == (1, 3.0), "since it is to go again"
            assert dashboard["commands"] == {"sent": 2, "success": 1}
            assert under_way.counts == {CommandState.SENT: 1, CommandState.SUCCESS: 1}, "as their rows say"
            assert not await commands.claim_unsent(["https"], limit=9, lease=lease, now=later(90))
            assert not await commands.unanswered("amqp", after=None, limit=9, now=later(3))
            assert not await commands.unanswered("https", after=None, limit=9, now=action().expire_after)

        store_runner.run(scenario())

    def test_what_a_relay_did_not_take_is_claimed_again_from_the_moment_on_that_is_named(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Sooner than its lease would end."""

        async def scenario() -> None:
            lease, commands = timedelta(seconds=30), store.commands
            (one,) = await fanned_out(store, "web1")
            await commands.claim_unsent(["https"], limit=9, lease=lease, now=NOW)

            await commands.give_back([one.id], later(10), lease=NOW + lease)

            assert await commands.claim_unsent(["https"], limit=9, lease=lease, now=later(9)) == []
            assert [row.id for row in await commands.claim_unsent(["https"], limit=9, lease=lease, now=later(10))] == [
                one.id
            ]

        store_runner.run(scenario())

    def test_what_is_answered_before_it_is_handed_over_again_is_not_handed_over(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Nor counted as queued; and with the last answer the action ends, if it is to."""

        async def scenario() -> None:
            lost, other = await fanned_out(store, "web1", "web2")
            await store.commands.mark_sent([lost.id, other.id], NOW)
            await store.commands.hand_over_again([lost.id], NOW)

            await store.commands.record([answer(lost)], later(1), settle=True)
            under_way = await store.actions.get(lost.action)
            await store.commands.record([answer(other)], later(2), settle=True)

            assert under_way.counts == {CommandState.SENT: 1, CommandState.SUCCESS: 1}
            assert await store.commands.claim_unsent(["https"], limit=9, lease=timedelta(30), now=later(1)) == []
            ended = await store.actions.get(lost.action)
            assert (ended.state, ended.finished_at) == (ActionState.COMPLETED, later(2))
            assert await store.actions.settle(later(3)) == []

        store_runner.run(scenario())

    def test_what_the_agent_signed_is_kept_and_given_when_asked_for(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """With the key that the agent is pinned to. An answer that came without it has none."""

        async def scenario() -> None:
            one, two = await fanned_out(store, "web1", "web2")
            proof = Proof(b"compressed", bytes(64))

            await store.commands.record([replace(answer(one), proof=proof), answer(two)], later(1))
            plain, _ = await store.commands.list(one.action)
            full, _ = await store.commands.list(one.action, proofs=True)
            row = await store.commands.get(one.action, one.agent, proof=True)

            keys = await store.agents.public_keys([one.agent])
            assert [one.proof for one in plain] == [None, None]
            assert [one.proof for one in full] == [proof, None]
            assert (row.proof, row.public_key) == (proof, keys[one.agent])
            assert (await store.commands.get(one.action, one.agent)).proof is None

        store_runner.run(scenario())

    def test_each_answer_of_a_batch_has_its_own_outcome(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Foreign, late and repeated ones do not hold up the others."""

        async def scenario() -> None:
            one, two, three = await fanned_out(store, "web1", "web2", "web3", asked=action(ends=10))
            (elsewhere,) = [row for row in await fanned_out(store, asked=action("other")) if row.agent == one.agent]
            await store.agents.retire(three.agent, NOW)
            batch = [
                answer(one),
                answer(one, state=CommandState.FAILED),
                replace(answer(two), agent=one.agent),
                replace(answer(two), action=elsewhere.action),
                replace(answer(two), command=CommandId("00000000-0000-7000-8000-000000000000")),
                replace(answer(two), agent=sample_agent_id("nobody")),
                answer(three),
            ]

            outcomes = await store.commands.record(batch, NOW)

            foreign = Recording.FOREIGN
            assert outcomes == [
                Recording.RECORDED, Recording.DUPLICATE, foreign, foreign, foreign, foreign, Recording.LATE,
            ]  # fmt: skip
            assert (await store.commands.get(two.action, two.agent)).state is CommandState.QUEUED
            assert await store.commands.record([], NOW) == []

        store_runner.run(scenario())

    def test_an_expired_command_takes_no_answer(self, store: Store, store_runner: asyncio.Runner) -> None:
        """It is late."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1", asked=action(ends=10))
            await store.actions.expire(now=later(100), grace=timedelta())

            assert await store.commands.record([answer(command)], later(101)) == [Recording.LATE]
            assert (await store.commands.get(command.action, command.agent)).state is CommandState.EXPIRED

        store_runner.run(scenario())

    def test_of_many_recorders_of_one_answer_exactly_one_records(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """In batches of different order."""

        async def scenario() -> None:
            commands = await fanned_out(store, *(f"web{number}" for number in range(20)))
            batch = [answer(one) for one in commands]

            outcomes = await asyncio.gather(
                store.commands.record(batch, NOW),
                store.commands.record(batch[::-1], NOW),
                store.commands.record(batch[10:] + batch[:10], NOW),
            )

            flat = [one for outcome in outcomes for one in outcome]
            assert flat.count(Recording.RECORDED) == 20
            assert flat.count(Recording.DUPLICATE) == 40
            assert (await store.actions.get(commands[0].action)).counts == {CommandState.SUCCESS: 20}

        store_runner.run(scenario())

    def test_no_character_of_an_answer_can_hold_up_the_others(self, store: Store, store_runner: asyncio.Runner) -> None:
        """What PostgreSQL cannot hold is replaced."""

        async def scenario() -> None:
            one, two = await fanned_out(store, "web1", "web2")
            strange = answer(one, results=[module_result(elements=STRANGE)], reason="\ud800 \x00")  # type: ignore[arg-type]  # infinity is no JSON

            outcomes = await store.commands.record([strange, answer(two)], NOW)

            assert outcomes == [Recording.RECORDED, Recording.RECORDED]
            row = await store.commands.get(one.action, one.agent)
            elements: Any = cast("list[Any]", row.results)[0]["elements"]
            assert elements["nul"] == "a\ufffdb"
            assert elements["\ufffdkey"][1:] == ["\\u0000", None]
            assert elements["deep"] == [{"x": None}]

        store_runner.run(scenario())

    def test_lists_come_by_agent_name_and_can_be_narrowed(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Every command once, whatever the page's length."""

        async def scenario() -> None:
            commands = await fanned_out(store, *(f"web{number}" for number in range(7)))
            await store.commands.record([answer(commands[2], results=[module_result()])], NOW)
            await store.commands.record([answer(commands[4], results=[module_result(found=False)])], NOW)
            failed = answer(commands[5], state=CommandState.FAILED, results=[])
            await store.commands.record([failed], NOW)
            identifier = commands[0].action
            seen, cursor = [], ""
            while True:
                page, cursor = await store.commands.list(identifier, cursor=cursor, limit=3)
                seen += [one.agent_name for one in page]
                if not cursor:
                    break
            done, _ = await store.commands.list(identifier, states=[CommandState.SUCCESS])
            found, _ = await store.commands.list(identifier, found=True)

            async def named(*states: CommandState, found: bool | None = None) -> list[str]:
                page, _ = await store.commands.list(identifier, states=states, found=found)
                return [one.agent_name for one in page]

            assert seen == [f"web{number}" for number in range(7)]
            assert [one.agent_name for one in done] == ["web2", "web4"]
            assert [one.agent_name for one in found] == ["web2"]
            assert await named(CommandState.FAILED, CommandState.REFUSED) == ["web5"]
            assert await named(CommandState.QUEUED, CommandState.SENT) == ["web0", "web1", "web3", "web6"]
            assert await named(CommandState.SUCCESS, CommandState.FAILED) == ["web2", "web4", "web5"]
            assert await named(CommandState.QUEUED, CommandState.FAILED) == ["web0", "web1", "web3", "web5", "web6"]
            assert await named(CommandState.SUCCESS, found=True) == ["web2"]
            assert await named(CommandState.FAILED, found=True) == await named(CommandState.QUEUED, found=True) == []
            assert "web4" in await named(found=False) and "web2" not in await named(found=False)
            with pytest.raises(NotFound):
                await store.commands.get(identifier, sample_agent_id("nobody"))

        store_runner.run(scenario())

    def test_a_follower_sees_every_final_command_once_in_order(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """While answers are recorded at the same time by several, in transactions that end in any order."""

        async def scenario() -> None:
            commands = await fanned_out(store, *(f"web{number:03}" for number in range(60)))
            batches = [[answer(one) for one in commands[start::6]] for start in range(6)]
            seen: list[str] = []

            async def follow() -> None:
                position = ""
                while len(seen) < len(commands):
                    for row in await store.commands.finished_since(commands[0].action, position=position, limit=7):
                        seen.append(row.id)
                        position = row.position

            async with asyncio.timeout(20):
                await asyncio.gather(follow(), *(store.commands.record(batch, NOW) for batch in batches))

            assert len(seen) == len(set(seen)) == 60

        store_runner.run(scenario())

    def test_a_follower_also_sees_what_ended_without_an_answer(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """After a restart from its last position."""

        async def scenario() -> None:
            one, two, three = await fanned_out(store, "web1", "web2", "web3", asked=action(ends=10))
            found = module_result(elements={"s1": ["é\u2028", "line\nbreak"]})
            await store.commands.record([answer(two, results=[found])], NOW)
            (first,) = await store.commands.finished_since(one.action, position="")
            assert first.results is None
            assert "\n" not in (first.results_text or "")
            assert json.loads(first.results_text or "") == [found.to_json()]
            await store.agents.retire(three.agent, NOW)
            await store.actions.expire(now=later(100), grace=timedelta())

            rest = await store.commands.finished_since(one.action, position=first.position)

            assert [row.agent_name for row in rest] == ["web3", "web1"]
            assert await store.commands.finished_since(one.action, position=rest[-1].position) == []
            with pytest.raises(InvalidDocument, match="position"):
                await store.commands.finished_since(one.action, position="1; DROP TABLE commands")

        store_runner.run(scenario())
