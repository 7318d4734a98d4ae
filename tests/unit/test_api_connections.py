"""Bounds of connections: guests share few, who waits longest goes first, those who are known are not touched."""

from __future__ import annotations

import pytest

from mig_core.api.clients import TrustedProxies
from mig_core.api.connections import Connection, ConnectionLimits, Connections, Who
from mig_core.errors import ApiError

LIMITS = ConnectionLimits(guests=6, guests_an_address=3, agents=4, all=12)


class Door:
    """Connections with a clock of their own."""

    def __init__(self, limits: ConnectionLimits = LIMITS, proxies: tuple[str, ...] = ()) -> None:
        self.time = 100.0
        self.ended: list[str] = []
        self.connections = Connections(limits, TrustedProxies(proxies), now=lambda: self.time)

    def open(self, peer: str, name: str = "") -> Connection | None:
        return self.connections.opened(self.connections.address_of(peer), lambda: self.ended.append(name or peer))

    def guest(self, peer: str, name: str = "") -> Connection:
        connection = self.open(peer, name)
        assert connection is not None
        return connection

    def known(self, who: Who, peer: str = "192.0.2.99") -> Connection:
        connection = self.guest(peer)
        connection.has_head()
        connection.has_request()
        connection.admit(who)
        return connection


def test_who_sends_no_head_is_cut_after_the_deadline_and_nobody_else() -> None:
    door = Door()
    door.guest("192.0.2.1", "silent")
    door.guest("192.0.2.2", "quick").has_head()
    again = door.guest("192.0.2.3", "again")
    again.has_head()
    door.time += 10
    again.awaits_head()
    door.time += 5.1

    door.connections.sweep()

    assert door.ended == ["silent"]
    door.time += 10
    again.awaits_head()  # another byte does not begin the time anew
    door.connections.sweep()
    assert door.ended == ["silent", "again"]
    assert door.connections.heads == {}


def test_one_address_pushes_out_only_its_own() -> None:
    door = Door()
    door.guest("192.0.2.2", "neighbour")
    for number in range(3):
        door.guest("192.0.2.1", f"silent {number}")
    door.time += 2

    assert door.open("192.0.2.1") is not None
    assert door.ended == ["silent 0"]


def test_too_many_young_ones_of_one_address_are_not_let_in() -> None:
    door = Door()
    opened = [door.open("192.0.2.1") for _ in range(5)]

    assert [one is None for one in opened] == [False, False, False, True, True]
    assert door.ended == []


def test_addresses_of_one_ipv6_network_share_a_bound() -> None:
    door = Door()

    opened = [door.open(f"2001:db8::{number:x}") for number in range(5)]

    assert sum(one is None for one in opened) == 2


def test_a_trusted_proxy_may_have_as_many_as_there_are() -> None:
    door = Door(proxies=("192.0.2.1",))

    assert all(door.open("192.0.2.1") is not None for _ in range(6))


def test_when_guests_hold_all_they_may_the_longest_waiting_makes_room() -> None:
    door = Door()
    guests = [door.guest(f"192.0.2.{number}") for number in range(6)]
    guests[0].has_head()
    guests[0].has_request()

    too_soon = door.connections.has_room()
    door.time += 2
    later = door.connections.has_room()

    assert (too_soon, later) == (False, True)
    assert door.ended == ["192.0.2.1"]  # the first one waits for us, not we for it


def test_a_guest_whose_answer_is_given_keeps_us_waiting_again() -> None:
    door = Door()
    for number in range(6):
        guest = door.guest(f"192.0.2.{number}")
        guest.has_request()
        if number == 3:
            guest.has_response()
    door.time += 2

    assert door.connections.has_room()
    assert door.ended == ["192.0.2.3"]


def test_agents_leave_room_for_investigators() -> None:
    door = Door()
    agents = [door.known(Who.AGENT) for _ in range(4)]

    with pytest.raises(ApiError) as refused:
        door.known(Who.AGENT)

    assert refused.value.status == 503
    assert door.known(Who.INVESTIGATOR).who is Who.INVESTIGATOR
    agents[0].close()
    assert door.known(Who.AGENT).who is Who.AGENT


def test_the_known_are_never_sent_away_for_others() -> None:
    door = Door()
    for _ in range(4):
        door.known(Who.AGENT)
    door.time += 100

    for number in range(20):
        door.connections.has_room()
        door.open(f"198.51.100.{number}")
        door.time += 2

    assert door.connections.counts[Who.AGENT] == 4
    assert door.connections.counts[Who.GUEST] <= LIMITS.guests


def test_counts_come_back_to_nothing() -> None:
    door = Door()
    connections = [door.known(Who.AGENT), door.known(Who.INVESTIGATOR), door.guest("192.0.2.1")]

    for one in connections:
        one.close()
        one.close()
        one.cut("late")

    assert door.connections.counts.total() == 0
    assert door.connections.cut == {}


@pytest.mark.parametrize("descriptors", [64, 256, 1024, 4096, 20_000, 1 << 20])
def test_limits_leave_something_for_everybody_and_never_exceed_the_descriptors(descriptors: int) -> None:
    limits = ConnectionLimits.of_descriptors(descriptors)

    assert limits.guests >= 8
    assert 4 <= limits.guests_an_address <= limits.guests
    assert limits.agents + limits.guests + 4 <= limits.all <= max(16, descriptors)
