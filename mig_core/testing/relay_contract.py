"""What every relay driver must do. Subclass it, provide ``relay_pair``, and pytest runs all of it::

    class TestCarrierPigeonRelay(RelayContract):
        @pytest.fixture
        def relay_pair(self) -> Iterator[RelayPair]:
            loft = Loft()
            yield RelayPair(loft.platform_end, loft.agent_end, restart=loft.restart)

Both ends deliver at least once and in any order, so nothing here expects an order, or that a message comes only once.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayUnavailable
from mig_core.testing.relay_answers_contract import RelayAnswersContract
from mig_core.testing.relay_ends import Ends, RelayPair, bodies_of, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.relay_ends import AgentEnd

BURST = 1000


class RelayContract(RelayAnswersContract):
    """The tests. The one fixture to provide is ``relay_pair``."""

    @pytest.fixture
    def relay_pair(self) -> Iterator[RelayPair]:
        """Both ends of one relay that is empty."""
        raise NotImplementedError("provide the fixture relay_pair")

    @pytest.fixture
    def ends(self, relay_pair: RelayPair) -> Iterator[Ends]:
        """Makes ends and closes them."""
        ends = Ends(relay_pair)
        yield ends
        ends.close()

    # -- commands

    def test_a_command_reaches_its_agent_and_nobody_else(self, ends: Ends) -> None:
        """The relay's first purpose."""
        one, other = new_agent_id(), new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([one, other]))
        receiver, bystander = ends.agent(one), ends.agent(other)

        platform.send(one, body(n=1), body(n=2))

        assert sorted(receiver.take(2)) == [body(n=1), body(n=2)]
        bystander.expect_silence()

    def test_commands_wait_for_an_agent_that_is_away(self, ends: Ends) -> None:
        """An endpoint that was off answers when it returns."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))

        platform.send(agent, body(n=1))

        assert ends.agent(agent).take(1) == [body(n=1)]

    def test_an_unacknowledged_command_comes_again_to_the_next_agent_process(self, ends: Ends) -> None:
        """An agent that dies in the middle of its work loses nothing."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        first = ends.agent(agent)
        platform.send(agent, body(n=1), body(n=2))
        deliveries = {first.next().body: None, first.next().body: None}

        first.relay.close()
        again = ends.agent(agent).take(2)

        assert sorted(again) == sorted(deliveries) == [body(n=1), body(n=2)]

    def test_an_acknowledged_command_does_not_come_again(self, ends: Ends) -> None:
        """Acknowledgements reach the relay even if the agent closes right after."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        first = ends.agent(agent)
        platform.send(agent, body(n=1))
        first.take(1)

        first.relay.close()
        platform.send(agent, body(n=2))
        second = ends.agent(agent)

        assert second.take(1) == [body(n=2)]
        second.expect_silence()

    def test_acknowledging_after_close_does_nothing_and_raises_nothing(self, ends: Ends) -> None:
        """A worker thread may finish after the relay is gone."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        first = ends.agent(agent)
        platform.send(agent, body(n=1))
        delivery = first.next()

        first.relay.close()
        delivery.acknowledge()

        assert ends.agent(agent).take(1) == [body(n=1)]

    def test_at_most_prefetch_commands_wait_in_the_agent(self, ends: Ends) -> None:
        """A flood stays at the relay."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        receiver = ends.agent(agent, prefetch=3)

        platform.send(agent, *(body(n=n) for n in range(7)))
        held = [receiver.next() for _ in range(3)]
        receiver.expect_silence()
        for delivery in held:
            delivery.acknowledge()

        rest = receiver.take(4)
        assert sorted([delivery.body for delivery in held] + rest) == [body(n=n) for n in range(7)]

    def test_expired_commands_are_not_delivered(self, ends: Ends) -> None:
        """What is not worth delivering any more is not."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))

        platform.send(agent, body(n=1), seconds=-1)
        platform.send(agent, body(n=2), seconds=0.3)
        platform.send(agent, body(n=3))
        time.sleep(0.6)  # time itself is the subject

        receiver = ends.agent(agent)
        assert receiver.take(1) == [body(n=3)]
        receiver.expect_silence()

    def test_dismissing_an_agent_removes_what_waits_for_it(self, ends: Ends) -> None:
        """A retired agent's commands are gone, even if it is admitted again."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        platform.send(agent, body(n=1))

        platform.call(platform.relay.dismiss([agent]))
        platform.call(platform.relay.admit([agent]))
        platform.send(agent, body(n=2))

        receiver = ends.agent(agent)
        assert receiver.take(1) == [body(n=2)]
        receiver.expect_silence()

    def test_admitting_twice_and_dismissing_a_stranger_are_harmless(self, ends: Ends) -> None:
        """Schedulers repeat themselves after a crash."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        platform.send(agent, body(n=1))

        platform.call(platform.relay.admit([agent, agent]))
        platform.call(platform.relay.dismiss([new_agent_id()]))

        assert ends.agent(agent).take(1) == [body(n=1)]

    def test_a_command_for_an_agent_nobody_admitted_is_kept_or_reported(self, ends: Ends) -> None:
        """It is never confirmed and lost: either its index comes back, or the agent gets it."""
        agent = new_agent_id()
        platform = ends.platform()

        platform.send(agent, body(n=1))

        assert ends.agent(agent).take(1) == [body(n=1)]

    # -- size and number

    def test_a_thousand_commands_arrive(self, ends: Ends) -> None:
        """A burst to one agent, acknowledged as it comes."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        receiver = ends.agent(agent)

        platform.send(agent, *(body(n=n) for n in range(BURST)))

        assert set(receiver.take(BURST)) == {body(n=n) for n in range(BURST)}

    def test_a_thousand_answers_from_several_threads_arrive(self, ends: Ends) -> None:
        """Any thread may publish."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)

        threads = [threading.Thread(target=_publish, args=(sender, part)) for part in range(4)]
        for thread in threads:
            thread.start()
        arrived: set[bytes] = set()
        while len(arrived) < BURST:
            arrived.update(bodies_of(platform.take(1), Kind.RESULT))
        for thread in threads:
            thread.join()

        assert arrived == {body(answer=n) for n in range(BURST)}

    def test_a_megabyte_goes_through_in_both_directions(self, ends: Ends) -> None:
        """Results are longer than lists of hosts."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        receiver = ends.agent(agent)
        large = body(text="x" * 1_000_000)

        platform.send(agent, large)
        receiver.relay.publish(Kind.RESULT, large)

        assert receiver.take(1) == [large]
        assert bodies_of(platform.take(1), Kind.RESULT) == [large]

    def test_an_answer_that_fits_into_no_single_request_goes_through(self, ends: Ends) -> None:
        """Whole, even if it cannot be compressed."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)
        large = body(text=base64.b64encode(os.urandom(6_000_000)).decode("ascii"))

        sender.relay.publish(Kind.RESULT, large)
        sender.relay.publish(Kind.RESULT, body(answer=1))

        arrived: set[bytes] = set()
        while len(arrived) < 2:
            arrived.update(bodies_of(platform.take(1), Kind.RESULT))
        assert {len(one) for one in arrived} == {len(body(answer=1)), len(large)}
        assert arrived == {body(answer=1), large}

    # -- coming and going

    def test_closing_is_prompt_even_while_nothing_happens(self, ends: Ends) -> None:
        """Services must stop when they are told to."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        receiver = ends.agent(agent)
        time.sleep(0.3)  # until both ends wait

        began = time.monotonic()
        receiver.relay.close()
        agent_seconds = time.monotonic() - began
        platform.close()
        platform_seconds = time.monotonic() - began - agent_seconds

        assert not receiver.relay.connected
        assert agent_seconds < 15
        assert platform_seconds < 15

    def test_a_closed_agent_end_refuses_to_publish(self, ends: Ends) -> None:
        """The caller's spool keeps the answer."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)

        sender.relay.close()

        with pytest.raises(RelayUnavailable):
            sender.relay.publish(Kind.RESULT, body(answer=1), timeout=2.0)

    def test_both_ends_come_back_after_the_relay_was_away(self, ends: Ends) -> None:
        """And what was confirmed before is still there."""
        if ends.pair.restart is None:
            pytest.skip("this relay cannot be restarted here")
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        receiver = ends.agent(agent)
        platform.send(agent, body(n=1))
        held = receiver.next()
        receiver.relay.publish(Kind.RESULT, body(answer=1))
        platform.next_batch()

        ends.pair.restart()
        receiver.relay.publish(Kind.RESULT, body(answer=2), timeout=30.0)
        held.acknowledge()  # too late or not: the relay's business
        platform.send(agent, body(n=2))

        while receiver.take(1) != [body(n=2)]:
            pass
        arrived: set[bytes] = set()
        while arrived != {body(answer=1), body(answer=2)}:
            arrived.update(bodies_of(platform.take(1), Kind.RESULT))


def _publish(sender: AgentEnd, part: int) -> None:
    for n in range(part, BURST, 4):
        sender.relay.publish(Kind.RESULT, body(answer=n))
