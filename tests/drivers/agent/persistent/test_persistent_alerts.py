"""The supervisor with real processes: alerts arrive, in order, whoever is killed."""

from __future__ import annotations

import contextlib
import json
import random
import time
from functools import partial
from typing import Any

from mig_core.agent.alerts.copies import MOST_BYTES, AlertCopies
from mig_core.agent.alerts.lines import read_sink
from mig_core.testing.eventually import eventually

Site = Any
"""It lives in conftest.py, which cannot be imported under this import mode."""

LONG = 30.0
"""Seconds for an end that is to take less than five, on a busy machine. Without its bounds it would never come."""


def in_order(numbers: list[int]) -> bool:
    """Whether each number was first seen after all smaller ones."""
    first = list(dict.fromkeys(numbers))
    return first == sorted(first)


def test_every_alert_of_every_source_reaches_the_sink_once_and_in_order(site: Site) -> None:
    site.start(source={"count": 30_000}, second={"count": 5_000}, sink={})

    eventually(lambda: site.settled("source", 30_000) and site.settled("second", 5_000))

    assert site.taken() == list(range(1, 30_001))
    assert site.taken("second") == list(range(1, 5_001))
    eventually(lambda: site.health("source")["status"] == {"number": 30_000})
    health = site.health("source")
    assert (health["state"], health["alerts"], health["held"], health["restarts"]) == ("running", 30_000, 0, 0)
    assert site.health("sink")["takes_alerts"]


def test_a_detector_is_shown_every_alert_of_sources_and_its_own_reach_the_sink(site: Site) -> None:
    site.start(source={"count": 3000}, second={"count": 1000}, detector={}, sink={})

    eventually(lambda: len(site.seen()) == 4000 and site.settled("detector", 400) and site.settled("source", 3000))

    numbers = [json.loads(line.partition(b" ")[2])["n"] for line in site.seen() if line.startswith(b"source ")]
    assert numbers == list(range(1, 3001))
    assert sorted(site.taken("detector")) == sorted([*range(1, 301), *range(1, 101)])
    assert site.taken() == list(range(1, 3001))
    eventually(lambda: site.health("detector")["unseen"] == 0)  # it accepts what it has seen
    assert site.health("detector")["missed"] == 0


def test_a_detector_that_hangs_holds_nothing_up_and_sees_all_when_it_is_back(site: Site) -> None:
    site.tell("blind")
    site.start(source={"count": 10_000}, detector={}, sink={})

    eventually(lambda: site.settled("source", 10_000))
    assert site.seen() == []
    site.kill("detector")
    site.tell("blind", off=True)

    eventually(lambda: len(site.seen()) >= 10_000)
    assert site.taken() == list(range(1, 10_001))


def test_copies_beyond_the_limit_are_counted_and_told_with_the_next_one() -> None:
    copies = AlertCopies(0)
    huge = b"x" * (MOST_BYTES - 10)

    copies.put(b"audit", huge)
    copies.put(b"audit", b'{"n":2}' + b" " * 20)
    copies.put(b"audit", b'{"n":3}' + b" " * 20)
    first = copies.take()
    copies.accepted(1)
    copies.put(b"audit", b'{"n":4}')

    rest = copies.take()
    assert len(first) > len(huge)
    assert [read_sink(line) for line in rest.splitlines()] == [
        (2, "agent", b'{"type":"alerts_missed","count":2}'),
        (3, "audit", b'{"n":4}'),
    ]
    assert copies.health() == {"unseen": 2, "missed": 2}


def test_a_slow_sink_makes_sources_wait_and_holds_a_window_at_most(site: Site) -> None:
    site.tell("refuse")
    site.start(site.PINGING, source={"size": 1000}, second={"size": 100_000}, sink={})

    eventually(lambda: site.sent() > 100 and site.sent("second") > 10)
    time.sleep(3.4)  # longer than three pings and the next one

    assert site.sent() <= 2000
    assert site.sent("second") <= 21
    assert [site.health(name)["restarts"] for name in ("source", "second", "sink")] == [0, 0, 0]
    assert "the disk is full" in site.health("sink")["last_error"] or site.taken() == []
    site.tell("refuse", off=True)
    sent = site.sent()
    eventually(lambda: site.sent() > sent + 3000)


def test_alerts_survive_the_death_of_every_part_at_random_moments(site: Site) -> None:
    chance = random.Random(4)
    site.start(source={"size": 200}, second={"size": 200}, sink={})
    for _ in range(12):
        name = chance.choice(("source", "second", "sink", "sink"))
        before = len(site.pids(name))
        eventually(partial(site.running, name))
        time.sleep(chance.random() * 0.4)
        if chance.random() < 0.3:
            site.tell("slow")
        site.kill(name)
        eventually(partial(site.restarted, name, before))
        with contextlib.suppress(FileNotFoundError):
            site.tell("slow", off=True)

    eventually(lambda: min(site.sent("source"), site.sent("second")) > 1000)
    site.stop()
    sent = {name: site.sent(name) for name in ("source", "second")}
    site.start(sink={}, source={"count": 0}, second={"count": 0})
    for name, count in sent.items():
        eventually(partial(site.complete, name, count))
        assert in_order(site.taken(name))


def test_alerts_of_a_dead_source_survive_the_sinks_and_the_agents_end(site: Site) -> None:
    site.tell("refuse")
    site.start(source={"count": 500}, sink={})
    eventually(lambda: site.sent() == 500 and site.health("source")["held"] == 500)

    site.kill("source")
    eventually(lambda: len(site.pids("source")) == 2)
    site.kill("sink")
    eventually(lambda: len(site.pids("sink")) == 2)
    site.stop()
    assert site.taken() == []
    site.tell("refuse", off=True)
    site.start(source={"count": 500}, sink={})

    eventually(lambda: len(set(site.taken())) == 500)
    assert in_order(site.taken())
    eventually(lambda: not list((site.state / "held").iterdir()))


def test_what_is_under_way_at_a_stop_is_sent_at_the_next_start(site: Site) -> None:
    site.tell("refuse")
    site.start(source={}, sink={})
    eventually(lambda: site.sent() == 2000)

    assert site.stop() < LONG

    site.tell("refuse", off=True)
    site.start(source={"count": 2000}, sink={})
    eventually(lambda: set(site.taken()) >= set(range(1, 2001)))
    assert in_order(site.taken())


def test_a_sink_that_dies_after_storing_gets_again_what_it_did_not_accept_under_the_same_numbers(site: Site) -> None:
    site.tell("crash")
    site.start(source={"count": 100}, sink={})

    eventually(lambda: site.settled("source", 100) and len(site.pids("sink")) == 2 and len(site.taken()) > 100)

    numbers: dict[int, set[int]] = {}
    for line in (site.folder / "taken").read_bytes().splitlines():
        identifier, _, raw = line.split(b" ", 2)
        numbers.setdefault(json.loads(raw)["n"], set()).add(int(identifier))
    assert numbers.keys() == set(range(1, 101))
    assert all(len(one) == 1 for one in numbers.values())
