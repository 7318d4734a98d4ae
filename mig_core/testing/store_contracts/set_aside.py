"""Contract of :class:`mig_core.store.base.SetAside`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.messages import Inbound, Kind
from mig_core.testing.store_samples import NOW, later, sample_agent_id

if TYPE_CHECKING:
    import asyncio

    from mig_core.store.base import Store

WEB1 = sample_agent_id("web1")


class SetAsideContract:
    """What cannot be recorded."""

    def test_messages_set_aside_are_numbered_counted_as_an_alarm_and_forgotten_in_time(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Whatever is in them, and whatever the reason says."""

        async def scenario() -> None:
            bodies = [b"", b"\x00\xff", b"x" * 100_000]
            numbers = [
                await store.set_aside.put("amqp", Inbound(Kind.RESULT, WEB1, body), "why\x00\ud800" * 2000, later(n))
                for n, body in enumerate(bodies)
            ]
            alarms = (await store.numbers.dashboard(NOW))["alarms"]

            forgotten = await store.set_aside.forget(before=later(2))

            assert sorted(set(numbers)) == numbers
            assert alarms == {"messages_set_aside": 3}
            assert forgotten == 2
            assert (await store.numbers.dashboard(NOW))["alarms"] == {"messages_set_aside": 1}

        store_runner.run(scenario())
