"""Contract of :class:`mig_core.store.base.Numbers`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.testing.store_samples import NOW, action, answer, enrolment, fanned_out, later

if TYPE_CHECKING:
    from mig_core.store.base import Store


class NumbersContract:
    """Counters and sums."""

    def test_counters_add_up_whoever_counts(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Many at once, in any order of names."""

        async def scenario() -> None:
            await asyncio.gather(
                *(store.numbers.count({"a": 1, "b": 2} if number % 2 else {"b": 2, "a": 1}) for number in range(10))
            )
            await store.numbers.count({})

            assert await store.numbers.counters() == {"a": 10, "b": 20}

        store_runner.run(scenario())

    def test_the_dashboard_sums_by_state(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Commands of the last 24 hours only."""

        async def scenario() -> None:
            await fanned_out(store, "web1", "web2")
            await store.agents.enrol(enrolment("new"), approved=False, token_digest=b"", now=NOW)

            today = await store.numbers.dashboard(later(60))
            tomorrow = await store.numbers.dashboard(later(2 * 86400))

            assert today["agents"] == {"online": 2, "pending": 1}
            assert today["actions"] == {"inflight": 1}
            assert today["commands"] == {"queued": 2}
            assert today["versions"] == {"1.0": 2}
            assert tomorrow["commands"] == {}

        store_runner.run(scenario())

    def test_how_long_answers_took_is_counted_once_whoever_folds_it(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """From the question's way to its first and its last answer, by bucket; who never answered does not count."""

        async def scenario() -> None:
            asked = action(ends=60)
            first, second, _ = await fanned_out(store, "web1", "web2", "web3", asked=asked)
            await store.commands.record([answer(first)], later(3))
            await store.commands.record([answer(second)], later(20))
            waiting = await store.numbers.watched(later(40))
            await store.actions.expire(now=later(600), grace=timedelta(0))
            await store.actions.settle(later(600))

            before = await store.numbers.watched(later(700))
            await store.numbers.fold()
            await store.numbers.fold()
            after = await store.numbers.watched(later(700))

            assert not any(count for _, count in waiting.latencies["first"])
            assert before.latencies == after.latencies
            assert [bound for bound, count in after.latencies["first"] if count] == [5.0]
            assert [bound for bound, count in after.latencies["last"] if count] == [30.0]
            assert after.latencies["last"][-1] == (float("inf"), 0)
            assert after.latency_sums == {"first": 3.0, "last": 20.0}
            assert after.waiting["commands"] == 0
            assert after.database_bytes > 0

        store_runner.run(scenario())

    def test_the_oldest_of_each_queue_says_how_long_it_waits(self, store: Store, store_runner: asyncio.Runner) -> None:
        """And an empty one has waited for nothing."""

        async def scenario() -> None:
            empty = await store.numbers.watched(later(0))
            await fanned_out(store, "web1", "web2")
            await store.agents.enrol(enrolment("new"), approved=False, token_digest=b"", now=later(10))

            full = await store.numbers.watched(later(60))

            assert set(empty.oldest.values()) == {0.0}
            assert (full.waiting["commands"], full.oldest["commands"]) == (2, 60.0)
            assert (full.waiting["enrolments"], full.oldest["enrolments"]) == (1, 50.0)
            assert full.waiting["inbound"] == 0

        store_runner.run(scenario())

    def test_what_schedulers_say_of_a_relay_is_believed_for_a_while(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """And is an alarm as long."""

        async def scenario() -> None:
            numbers = store.numbers
            await numbers.relay_is("amqp", "it takes no messages now: low on memory", NOW)
            await numbers.relay_is("https", "", NOW)

            assert await numbers.relay_problem("amqp", later(60)) == "it takes no messages now: low on memory"
            assert await numbers.relay_problem("amqp", later(180)) == ""
            assert await numbers.relay_problem("https", later(60)) == await numbers.relay_problem("other", NOW) == ""
            assert (await numbers.dashboard(later(60)))["alarms"] == {"relay_amqp_in_trouble": 1}
            await numbers.relay_is("amqp", "", later(70))
            assert await numbers.relay_problem("amqp", later(80)) == ""
            assert (await numbers.dashboard(later(80)))["alarms"] == {}

        store_runner.run(scenario())

    def test_how_the_fleet_stood_is_kept_every_five_minutes_of_eight_days(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Whoever says so: several schedulers make one entry."""

        async def scenario() -> None:
            numbers = store.numbers
            await store.agents.enrol(enrolment("web1"), approved=True, token_digest=b"", now=NOW)
            await asyncio.gather(*(numbers.keep_history(later(second)) for second in (0, 1, 2)))
            await store.agents.enrol(enrolment("web2"), approved=False, token_digest=b"", now=NOW)
            await numbers.keep_history(later(300))

            first, second = await numbers.history(NOW - timedelta(minutes=5))
            alarms = [(await numbers.dashboard(later(second)))["alarms"] for second in (600, 300 + 661)]
            await numbers.keep_history(later(8 * 86400 + 700))

            assert first[1] == {"online": 1}
            assert second[1] == {"online": 1, "pending": 1}
            assert second[0] - first[0] == timedelta(minutes=5)
            assert len(await numbers.history(NOW - timedelta(days=1))) == 1
            assert alarms == [{}, {"no_scheduler_works": 1}]

        store_runner.run(scenario())
