"""What every relay driver must do with answers: a part of :class:`mig_core.testing.relay_contract.RelayContract`."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from mig_core.domain.messages import Kind
from mig_core.testing.relay_ends import PATIENCE, Ends, bodies_of, body, new_agent_id

if TYPE_CHECKING:
    from mig_core.relay.base import Batch


class RelayAnswersContract:
    """Answers, from agents to schedulers. The fixture ``ends`` is the whole contract's."""

    def test_answers_arrive_with_their_kind_and_sender(self, ends: Ends) -> None:
        """The other direction."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)

        sender.relay.publish(Kind.RESULT, body(answer=1))
        sender.relay.publish(Kind.HEARTBEAT, body(beat=1))

        arrived = platform.take(2)
        assert {(one.kind, one.agent, one.body) for one in arrived} == {
            (Kind.RESULT, agent, body(answer=1)),
            (Kind.HEARTBEAT, agent, body(beat=1)),
        }

    def test_an_answer_that_was_taken_survives_the_agent_and_waits_for_a_scheduler(self, ends: Ends) -> None:
        """``publish`` returning means that the agent may forget."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)
        platform.close()

        sender.relay.publish(Kind.RESULT, body(answer=1))
        sender.relay.close()

        assert bodies_of(ends.platform().take(1), Kind.RESULT) == [body(answer=1)]

    def test_unacknowledged_answers_come_again_after_the_scheduler_restarts(self, ends: Ends) -> None:
        """A scheduler that dies before its commit loses nothing."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        ends.agent(agent).relay.publish(Kind.RESULT, body(answer=1))
        assert bodies_of(platform.next_batch().messages, Kind.RESULT) == [body(answer=1)]

        platform.close()

        assert bodies_of(ends.platform().take(1), Kind.RESULT) == [body(answer=1)]

    def test_an_unacknowledged_batch_comes_again_to_the_same_scheduler(self, ends: Ends) -> None:
        """A failed commit is not the end of an answer, nor of its scheduler."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        ends.agent(agent).relay.publish(Kind.RESULT, body(answer=1))
        first = platform.next_batch()

        again = platform.next_batch()
        platform.acknowledge(again)

        assert list(again.messages) == list(first.messages)

    def test_acknowledged_answers_do_not_come_again(self, ends: Ends) -> None:
        """Batches may be acknowledged out of order; each settles its own messages and no others."""
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)
        batches: dict[bytes, Batch] = {}
        for n in range(3):
            sender.relay.publish(Kind.RESULT, body(answer=n))
            while body(answer=n) not in batches:  # one whose lease has ended may come again before it
                batch = platform.next_batch()
                batches[bodies_of(batch.messages, Kind.RESULT)[0]] = batch

        platform.acknowledge(batches[body(answer=2)])
        platform.acknowledge(batches[body(answer=0)])
        platform.close()

        second = ends.platform()
        assert set(bodies_of(second.take(1), Kind.RESULT)) == {body(answer=1)}
        sender.relay.publish(Kind.RESULT, body(answer=3))
        assert set(bodies_of(second.take(1), Kind.RESULT)) == {body(answer=3)}

    def test_several_schedulers_share_the_answers(self, ends: Ends) -> None:
        """Nothing is dealt out twice while everybody is alive."""
        agent = new_agent_id()
        platforms = [ends.platform(patient=True), ends.platform(patient=True)]
        platforms[0].call(platforms[0].relay.admit([agent]))
        sender = ends.agent(agent)
        arrived: list[bytes] = []

        for n in range(50):
            sender.relay.publish(Kind.RESULT, body(answer=n))
        deadline = time.monotonic() + PATIENCE
        while len(arrived) < 50 and time.monotonic() < deadline:
            for platform in platforms:
                while not platform.inbox.empty():
                    batch = platform.next_batch()
                    platform.acknowledge(batch)
                    arrived += bodies_of(batch.messages, Kind.RESULT)
            time.sleep(0.01)

        assert Counter(arrived) == Counter(body(answer=n) for n in range(50))
