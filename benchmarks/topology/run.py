"""Kills each part of a platform that has more than one of each, under load: ``python -m benchmarks.topology.run``.

For who may use docker. Builds the images (``--no-build``: they are there), starts everything, has simulated agents of
both relays listen, and some real ones among them, asks all of them over and over, and kills one part after the other:
each mig-api, one process of one, each scheduler, nodes of RabbitMQ (one, the one that leads the answers' queue, two at
once, all), the proxy, the PostgreSQL that writes. What was killed is started again after a while, except the
database: its standby takes over, and a new standby takes its place. At the end the books must say of every question
that each agent was asked once and answered once, and so must the real agents' ledgers. Status 1: they do not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.simulator.workers import Workers
from benchmarks.tables import print_table
from benchmarks.topology.containers import BROKERS, SECRET, Containers, PartFailed
from benchmarks.topology.load import LEFT_BEHIND, Load, Sums, sums_of
from benchmarks.topology.real_agents import RealAgents
from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.errors import MigError
from mig_core.pgp.gnupg import GnupgSigner, generate_key, stop_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTS = (
    "api1",
    "api2",
    "worker",
    "scheduler1",
    "scheduler2",
    "mq1",
    "leader",
    "two-nodes",
    "cluster",
    "proxy",
    "db1",
    "forgotten",
)
"""What is killed. ``worker``: one process of api2; ``leader``, ``two-nodes``, ``cluster``, ``forgotten``: of RabbitMQ.

The last does not come back: the cluster is told that it is gone, with all that it had.
"""
COUNTERS = "SELECT name || '=' || value FROM counters WHERE value <> 0 ORDER BY name"


@dataclass(frozen=True, slots=True)
class Killed:
    """One part's death, and how long anybody noticed."""

    part: str
    at: float
    """When, seconds of the epoch."""
    away: float
    """Seconds until it was back, or another one had its place."""
    action: str
    """The question that had gone out half a second before."""
    longest: float
    """Seconds in which no question was taken."""
    again: int
    """Commands that schedulers handed over again meanwhile."""
    load: float
    """The machine's load average when it was killed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.topology.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--agents", type=int, default=2000, help="simulated ones: half over https, half over amqp")
    parser.add_argument("--real", type=int, default=4, help="real ones among them, likewise")
    parser.add_argument("--away", type=float, default=20.0, help="seconds until a killed part is started again")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between two questions")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds of load before each kill")
    parser.add_argument("--kill", nargs="*", choices=PARTS, default=PARTS, help="which parts, in this order")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the containers at the end, to look into")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends, too
    with tempfile.TemporaryDirectory(prefix="mig-topology-") as name:
        folder = Path(name)
        containers = Containers(folder / "site")
        try:
            if not options.no_build:
                containers.build()
            containers.up()
            return _measure(containers, folder, options)
        except PartFailed as error:
            print(f"topology: {error}", file=sys.stderr)
            return 1
        finally:
            if not options.keep:
                containers.down()


def _measure(containers: Containers, folder: Path, options: argparse.Namespace) -> int:
    home = folder / "gnupg"
    key = generate_key(home, "Topology", "topology@example.net")
    signer = GnupgSigner(key.fingerprint, home)
    settings = ClientSettings(api=containers.api, fingerprint=key.fingerprint, gnupg_home=home)
    client = MigClient(settings, lambda: signer, keep_session=False)
    try:
        client.bootstrap(containers.bootstrap_secret(), "topology", signer.public_key())
        half, agents = options.agents // 2, options.agents // 2 * 2 + options.real
        real = RealAgents(
            options.real,
            folder / "real",
            api=containers.api,
            relay=containers.relay,
            secret=SECRET,
            fingerprint=key.fingerprint,
            public_key=signer.public_key(),
        )
        with (
            real,
            _fleet("https", half, containers, folder) as https,
            _fleet(containers.relay, half, containers, folder) as amqp,
        ):
            for fleet in (https, amqp):
                fleet.wait_for("made", seconds=600)
                fleet.enrol()
            for fleet in (https, amqp):
                fleet.wait_for("enrolled", seconds=600)
            for fleet in (https, amqp):
                fleet.wait_for("listening", seconds=900)
            containers.wait("heartbeats of all", lambda: _online(client) == agents, seconds=300)
            _say(f"{agents} agents listen")
            load = Load(client, signer, options.pause, containers)
            load.start()
            killed = [_kill(part, containers, load, options) for part in options.kill]
            time.sleep(options.settle)
            load.stop()
            books = _last_books(containers, load, agents)
            wrong = real.wrong(load.asked)
            return _report(books, wrong, killed, load, containers, {"https": https.end(), "amqp": amqp.end()}, agents)
    finally:
        client.close()
        stop_agent(home)


def _kill(part: str, containers: Containers, load: Load, options: argparse.Namespace) -> Killed:
    time.sleep(options.settle)
    before, count = containers.handed_over_again(), len(load.asked)
    load.longest = 0.0
    parts = _containers_of(part, containers)
    _until(lambda: len(load.asked) > count)  # a question has just gone out
    time.sleep(0.5)
    at, began, busy = time.time(), time.monotonic(), os.getloadavg()[0]
    if part == "worker":
        containers.kill_worker("api2")
    else:
        containers.kill(*parts)
    if part == containers.primary:
        containers.fail_over()
        away = time.monotonic() - began
        time.sleep(options.away)
        containers.new_standby()
    else:
        time.sleep(options.away)
        if part == "forgotten":
            containers.forget(*parts)
        elif parts:
            containers.start(*parts)
        away = time.monotonic() - began if parts else 0.0
    _say(f"{part} {' '.join(parts)}: killed, and back or replaced after {away:.1f} s")
    meanwhile = load.asked[count:]
    _until(lambda: all(sums_of(containers, one).open == 0 for one in meanwhile), seconds=600)
    again = containers.handed_over_again() - before
    sums = sums_of(containers, load.asked[count])
    _say(f"  {sums}; no question taken for {load.longest:.1f} s at most; {again} again; load average {busy:.1f}")
    return Killed(part, at, away, load.asked[count], load.longest, again, busy)


def _containers_of(part: str, containers: Containers) -> tuple[str, ...]:
    """Those that are killed together."""
    if part == "leader":
        return (containers.leader(),)
    return {"worker": (), "two-nodes": BROKERS[:2], "cluster": BROKERS, "forgotten": BROKERS[2:]}.get(part, (part,))


def _last_books(containers: Containers, load: Load, agents: int) -> list[Sums]:
    """The books, once nothing is open any more or ten minutes have passed."""
    deadline = time.monotonic() + 660
    while True:
        books = [sums_of(containers, action) for action in load.asked]
        if all(one.complete(agents) for one in books) or time.monotonic() > deadline:
            return books
        time.sleep(5)


def _report(
    books: list[Sums],
    at_agents: list[str],
    killed: list[Killed],
    load: Load,
    containers: Containers,
    simulators: dict[str, dict[str, object]],
    agents: int,
) -> int:
    head = [
        "killed",
        "away (s)",
        "its question's last answer, https (s)",
        "amqp (s)",
        "all of meanwhile, after it was back, https (s)",
        "amqp (s)",
        "no question taken for (s)",
        "handed over again",
        "load average",
    ]
    print_table(f"{agents} agents, one part after the other", head, [_row(one, books) for one in killed])
    wrong = [one for one in books if not one.complete(agents)]
    calm = [one.seconds for one in books if not any(0 <= one.asked_at - kill.at + 60 <= 180 for kill in killed)]
    commands = sum(one.commands for one in books)
    print(f"{len(books)} questions, {commands} commands, {sum(one.success for one in books)} answered")
    if calm:
        print(f"last answers of {len(calm)} questions far from a death: {min(calm):.1f} to {max(calm):.1f} s")
    print(f"questions that were sent again: {load.refused}")
    for name, sums in simulators.items():
        print(f"{name}: {sums}")
    print(f"counters: {containers.sql(COUNTERS).split()}")
    print(f"left behind: {containers.sql(LEFT_BEHIND).splitlines()}")
    print(f"versions: {', '.join(containers.versions())}")
    print(f"{os.cpu_count()} processors, load average now {os.getloadavg()[0]:.2f}")
    for one in wrong:
        print(f"UNACCOUNTED FOR: {one}")
    for text in at_agents:
        print(f"WRONG IN A LEDGER: {text}")
    print("every agent was asked once and answered once" if not wrong else f"{len(wrong)} questions are wrong")
    return 1 if wrong or at_agents else 0


def _row(one: Killed, books: list[Sums]) -> list[str]:
    """The last answers of the question that was under way, and of all that were asked until the part was back."""
    under_way = next(sums for sums in books if sums.action == one.action)
    meanwhile = [sums for sums in books if under_way.asked_at <= sums.asked_at <= one.at + one.away]
    back = one.at + one.away
    times = [
        under_way.last_https - under_way.asked_at,
        under_way.last_amqp - under_way.asked_at,
        max(0.0, *(sums.last_https - back for sums in meanwhile)),
        max(0.0, *(sums.last_amqp - back for sums in meanwhile)),
    ]
    last = [f"{one.longest:.1f}", str(one.again), f"{one.load:.1f}"]
    return [one.part, f"{one.away:.1f}", *(f"{time:.1f}" for time in times), *last]


def _fleet(relay: str, agents: int, containers: Containers, folder: Path) -> Workers:
    return Workers(
        agents=agents,
        processes=1,
        api=containers.api,
        relay=relay,
        secret=SECRET,
        heartbeat_interval=120.0,
        finds_every=10,
        log=folder / f"simulator-{'https' if relay == 'https' else 'amqp'}.log",
    )


def _online(client: MigClient) -> int:
    try:
        return int(client.evaluate("tags.environment = 'simulated' AND status = 'online'")["count"])
    except MigError:
        return -1


def _until(ready: Callable[[], bool], *, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except PartFailed:
            pass
        time.sleep(0.2)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
