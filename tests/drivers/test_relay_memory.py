"""The relay inside one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayUnavailable
from mig_core.relay.memory import MemoryRelay
from mig_core.testing.relay_contract import RelayContract
from mig_core.testing.relay_ends import Ends, RelayPair, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestMemoryRelay(RelayContract):
    @pytest.fixture
    def relay_pair(self) -> Iterator[RelayPair]:
        hub = MemoryRelay(lease=1.0)

        def restart() -> None:
            hub.interrupt()
            hub.restore()

        yield RelayPair(hub.platform_end, lambda agent, prefetch: hub.agent_end(agent, prefetch=prefetch), restart)


def test_an_interrupted_relay_takes_no_answer_within_the_callers_time() -> None:
    hub = MemoryRelay()
    ends = Ends(RelayPair(hub.platform_end, lambda agent, prefetch: hub.agent_end(agent, prefetch=prefetch)))
    sender = ends.agent(new_agent_id())

    hub.interrupt()

    with pytest.raises(RelayUnavailable):
        sender.relay.publish(Kind.RESULT, body(answer=1), timeout=0.05)
    assert not sender.relay.connected
    ends.close()
