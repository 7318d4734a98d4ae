"""What agents hold, by a clock that the tests move."""

from __future__ import annotations

from mig_core.api.given import LEASE, Given
from mig_core.domain.ids import AgentId

AGENT = AgentId("a" * 32)


class Clock:
    """Stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_given_is_held_until_it_is_acknowledged() -> None:
    given = Given(Clock())

    given.gave(AGENT, "one", [1, 2])
    given.acknowledged(AGENT, [1])

    assert given.held_by(AGENT, "one") == (2,)
    assert given.held_by(AGENT, "another process") == ()


def test_only_what_the_last_answer_brought_is_doubted() -> None:
    given = Given(Clock())
    given.gave(AGENT, "one", [1])
    given.gave(AGENT, "one", [2, 3])
    given.acknowledged(AGENT, [3])

    doubted = given.doubt_last(AGENT, "one")

    assert doubted
    assert given.held_by(AGENT, "one") == (1,)
    assert not given.doubt_last(AGENT, "one")


def test_another_process_of_the_agent_makes_nobody_doubt_the_first_ones_answer() -> None:
    given = Given(Clock())
    given.gave(AGENT, "one", [1])

    assert not given.doubt_last(AGENT, "two")

    assert given.held_by(AGENT, "one") == (1,)


def test_a_lease_that_ends_names_its_agent_if_anything_of_it_is_left() -> None:
    clock = Clock()
    given = Given(clock)
    given.gave(AGENT, "one", [1])
    given.gave(AgentId("b" * 32), "one", [2])
    given.acknowledged(AgentId("b" * 32), [2])
    assert given.ended() == []

    clock.now = LEASE

    assert given.ended() == [AGENT]
    assert given.held_by(AGENT, "one") == ()
    assert not given.some()


def test_of_agents_that_never_come_back_nothing_is_kept() -> None:
    clock = Clock()
    given = Given(clock)
    given.gave(AGENT, "one", [1])
    given.gave(AgentId("b" * 32), "one", [2])
    given.doubt_last(AgentId("b" * 32), "one")

    clock.now = LEASE
    given.ended()

    assert not given._held
