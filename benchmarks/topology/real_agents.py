"""A few real agents among the simulated ones: whether they ran each question once, their own ledgers say."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Self

from mig_core.agent.records.ledger_file import read_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PATIENCE = 10.0
_SETTINGS = """
name = {name}
state = {state}
heartbeat_interval = "120s"
tags = {{ environment = "simulated" }}

[platform]
api = {api}
{relay}enrolment_secret_file = {secret}

[trust]
keys = {keys}
acl = {acl}
"""


class RealAgents:
    """``mig-agent`` on this machine, half of them on each relay. Use as a context manager.

    Args:
        agents: how many.
        fingerprint: whose questions they answer; ``public_key`` is that key.
        relay: RabbitMQ's address.
    """

    def __init__(
        self, agents: int, folder: Path, *, api: str, relay: str, secret: str, fingerprint: str, public_key: bytes
    ) -> None:
        folder.mkdir(mode=0o700)
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        (keys / "topology.asc").write_bytes(public_key)
        weights = {"topology": {"fingerprint": fingerprint, "weight": 1}}
        (folder / "acl.json").write_text(json.dumps({"default": {"minimumweight": 1, "investigators": weights}}))
        (folder / "secret").write_text(secret, encoding="ascii")
        for file in (keys / "topology.asc", folder / "acl.json", folder / "secret"):
            file.chmod(0o600)
        self._folders = [folder / f"real{number}" for number in range(agents)]
        self._processes: list[subprocess.Popen[bytes]] = []
        for number, place in enumerate(self._folders):
            (place / "etc").mkdir(mode=0o700, parents=True)
            (place / "etc" / "motd").write_text("Welcome.\n", encoding="ascii")
            quoted = {
                "name": place.name,
                "state": str(place / "state"),
                "api": api,
                "secret": str(folder / "secret"),
                "keys": str(keys),
                "acl": str(folder / "acl.json"),
            }
            text = {name: json.dumps(value) for name, value in quoted.items()}  # a TOML string, too
            text["relay"] = f"relay = {json.dumps(relay)}\n" if number % 2 else ""
            (place / "agent.toml").write_text(_SETTINGS.format(**text), encoding="utf-8")
            (place / "agent.toml").chmod(0o600)

    def __enter__(self) -> Self:
        for place in self._folders:
            with (place / "log").open("ab") as log:
                words = [sys.executable, "-P", "-m", "mig_core.agent.main", "--config", str(place / "agent.toml")]
                self._processes.append(
                    subprocess.Popen(words, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                )
        return self

    def wrong(self, actions: Sequence[str]) -> list[str]:
        """What their ledgers say about these actions, other than that each was begun and answered once."""
        found = []
        for place in self._folders:
            events: Counter[tuple[str, str]] = Counter()
            for entry in read_ledger(place / "state" / "ledger.jsonl"):
                events[str(entry["event"]), str(entry.get("action", ""))] += 1
            for event in ("asked", "answered"):
                odd = {action: events[event, action] for action in actions if events[event, action] != 1}
                found += [f"{place.name}: {action} {event} {count} times" for action, count in odd.items()]
        return found

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            process.kill()
            process.wait()
        self._processes.clear()
