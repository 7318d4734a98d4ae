"""Each part is stopped while a question is under way and started again: every target is accounted for."""

from __future__ import annotations

import json
import time
from typing import Any

from compose_checks.engine import AGENTS, Environment, check, eventually, say

SLOW = "mig file -path /usr -name . -sha2 0000000000000000000000000000000000000000000000000000000000000000"
"""Reads every file below /usr: seconds of work for each agent."""
PARTS = ("migrelay", "migdb", "migscheduler", "migapi")
AWAY = 3.0
"""Seconds a part stays away."""


def each_part(environment: Environment) -> None:
    """All four, one after the other."""
    for part in PARTS:
        one_part(environment, part)


def one_part(environment: Environment, part: str) -> None:
    """Asks, takes the part away, brings it back, and waits for the books to close."""
    asked = environment.shell(f"{SLOW} -e 4m --detach")
    check(asked.returncode == 0, f"asking before {part} is stopped: {asked.stderr}")
    identifier = asked.stdout.strip()
    environment.compose("stop", "--timeout", "1", part)
    time.sleep(AWAY)
    environment.compose("start", part)
    eventually(lambda: environment.health(part) == "healthy", f"{part} healthy again", seconds=120)
    action = eventually(lambda: _ended(environment, identifier), f"{identifier} has ended after {part}", seconds=300)
    counts = {state: count for state, count in action["counts"].items() if count}
    check(sum(counts.values()) == action["targeted"] == len(AGENTS), f"{part}: {counts} of {action['targeted']}")
    check(counts == {"success": len(AGENTS)}, f"{part}: {counts}")
    eventually(lambda: environment.online() >= AGENTS, f"every agent online after {part}", seconds=120)
    say(f"ok  {part} was away while a question was under way: {len(AGENTS)} of {len(AGENTS)} answered")


def _ended(environment: Environment, identifier: str) -> dict[str, Any] | None:
    shown = environment.shell(f"mig action show {identifier} --json")
    if shown.returncode:
        return None
    action: dict[str, Any] = json.loads(shown.stdout)
    return action if action["state"] in ("completed", "cancelled", "expired") else None
