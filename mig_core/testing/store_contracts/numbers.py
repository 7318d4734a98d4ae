"""Contract of :class:`mig_core.store.base.Numbers`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.testing.store_samples import NOW, enrolment, fanned_out, later

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
