"""A soak: questions without end over one relay while parts are killed at random; every target has to be accounted for.

    .venv/bin/python -m benchmarks.soak --minutes 20 --relay amqp --seed 1

Prints one line a minute and the sums at the end; ends with status 1 when a command was lost or answered twice.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mig_core.cli.demo.site import ENDPOINTS
from mig_core.testing.fleet import Fleet, running_fleet

QUESTION = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$", "-e", "120s")
EVERY = 10.0
"""Seconds between two kills."""


def kill_one(fleet: Fleet, chance: random.Random) -> str:
    """Ends one of our programs with kill -9 and starts it again."""
    platform = fleet.platform
    name = chance.choice(("api", "scheduler", *ENDPOINTS))
    platform.processes.end(name, signal.SIGKILL)
    if name == "api":
        platform.start_api()
    elif name == "scheduler":
        platform.start_scheduler()
    else:
        platform.start_agent(name)
    return "agent" if name in ENDPOINTS else name


def soak(fleet: Fleet, minutes: float, chance: random.Random) -> int:
    """Asks and kills for so long; returns how many actions did not add up."""
    began = said = killed = time.monotonic()
    kills: Counter[str] = Counter()
    states: Counter[str] = Counter()
    wrong = asked = 0
    while time.monotonic() - began < minutes * 60:
        ran = fleet.mig(*QUESTION, "--detach", timeout=120)
        if ran.returncode:
            states["not taken"] += 1  # the API was being started; the investigator was told
            time.sleep(0.5)
            continue
        asked += 1
        if time.monotonic() - killed > EVERY:
            killed = time.monotonic()
            kills[kill_one(fleet, chance)] += 1
        ended = fleet.ended(ran.stdout.strip(), seconds=180)
        states.update(ended["counts"])
        wrong += not sum(ended["counts"].values()) == ended["targeted"] == len(ENDPOINTS)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{(said - began) / 60:.0f} min: {asked} questions, {dict(kills)} killed, {dict(states)}", flush=True)
    print(f"{minutes:g} min: {asked} questions, {dict(kills)} killed, {dict(states)}; {wrong} did not add up")
    return wrong


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mig-soak-") as folder, running_fleet(Path(folder), options.relay) as fleet:
        return 1 if soak(fleet, options.minutes, random.Random(options.seed)) else 0


if __name__ == "__main__":
    sys.exit(main())
