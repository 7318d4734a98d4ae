"""Persistent modules in the whole agent: settings, questions, heartbeats, and the end of every part."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from mig_core.domain.command import CommandState
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


def set_up(endpoint: Endpoint, **tables: dict[str, Any]) -> None:
    """Adds tables of persistent modules to the settings."""
    with endpoint.configuration.open("a") as file:
        for name, table in tables.items():
            lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
            file.write(f"[persistent.{name}]\n{lines}\n")


def pids(endpoint: Endpoint, *names: str) -> list[int]:
    """Of the latest processes of these modules."""
    found = []
    for name in names:
        path = endpoint.folder / f"{name}.pids"
        if path.exists() and (text := path.read_text()).endswith("\n"):
            found.append(int(text.split()[-1]))
    return found


def sent(endpoint: Endpoint) -> int:
    path = endpoint.folder / "source.sent"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def taken(endpoint: Endpoint) -> list[int]:
    path = endpoint.folder / "taken"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line.split(b" ", 2)[2])["n"] for line in lines]


def complete(endpoint: Endpoint, count: int) -> bool:
    return set(taken(endpoint)) >= set(range(1, count + 1))


def ask(endpoint: Endpoint, platform: Platform, module: str) -> Any:
    command = endpoint.command(endpoint.action((module, {"word": "hello"})))
    platform.send(command)
    return platform.answer_to(command.command)


def test_modules_run_beside_the_agent_are_asked_and_reported(endpoint: Endpoint, platform: Platform) -> None:
    folder = str(endpoint.folder)
    set_up(endpoint, source={"folder": folder, "count": 500}, sink={"folder": folder}, odd={"does": "asks"}, nosuch={})
    endpoint.start()
    platform.wait_for(lambda: any(one.persistent["source"].get("alerts") == 500 for one in platform.heartbeats))
    eventually(lambda: complete(endpoint, 500))

    answers = {name: ask(endpoint, platform, name) for name in ("source", "odd", "second", "echo")}

    assert answers["source"].state is CommandState.SUCCESS
    assert answers["source"].results[0].elements == {"asked": {"word": "hello"}, "number": 500}
    assert answers["echo"].state is CommandState.SUCCESS
    assert answers["odd"].state is CommandState.FAILED
    assert "module odd is not running: agent.toml: persistent.odd.folder: must be a path" in answers["odd"].reason
    assert "module second is not running: the settings have no table [persistent.second]" in answers["second"].reason
    platform.wait_for(
        lambda: (
            (source := platform.heartbeats[-1].persistent["source"]).get("held") == 0
            and source["status"] == {"number": 500}
        )
    )
    heartbeat = platform.heartbeats[-1]
    health = heartbeat.persistent["source"]
    assert (health["state"], health["restarts"], health["status"]) == ("running", 0, {"number": 500})
    assert health["pid"] == pids(endpoint, "source")[0]
    assert heartbeat.persistent["odd"]["state"] == "misconfigured"
    assert heartbeat.facts.failures["persistent.odd"].startswith("agent.toml: persistent.odd.folder: must be a path")
    assert "is not installed, or not allowed" in heartbeat.facts.failures["persistent.nosuch"]
    assert "a persistent module is not started: agent.toml: persistent.odd.folder: must be a path" in endpoint.log


def test_a_clean_stop_ends_all_within_five_seconds_and_kill_9_of_the_agent_too(
    endpoint: Endpoint, platform: Platform
) -> None:
    folder = str(endpoint.folder)
    set_up(
        endpoint,
        source={"folder": folder},
        sink={"folder": folder},
        odd={"folder": folder, "does": "stubborn"},
    )
    names = ("source", "sink", "odd")
    endpoint.start()
    eventually(lambda: len(pids(endpoint, *names)) == 3 and taken(endpoint))

    assert endpoint.stop() == 0

    first = pids(endpoint, *names)
    assert not any(alive(pid) for pid in first)
    endpoint.start()
    eventually(lambda: not set(first) & set(pids(endpoint, *names)))
    endpoint.stop(signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids(endpoint, *names)))


def test_no_alert_is_lost_when_the_agent_or_a_module_is_killed_at_random_moments(
    endpoint: Endpoint, platform: Platform
) -> None:
    chance = random.Random(5)
    folder = str(endpoint.folder)
    set_up(endpoint, source={"folder": folder, "size": 300}, sink={"folder": folder})
    for victim in ("agent", "source", "agent", "sink", "agent"):
        earlier = pids(endpoint, victim)
        endpoint.start()
        before = sent(endpoint)
        eventually(partial(lambda before: sent(endpoint) > before + 100, before))
        time.sleep(chance.random())
        if victim == "agent":
            endpoint.stop(signal.SIGKILL)
        else:
            eventually(partial(lambda victim, earlier: pids(endpoint, victim) != earlier, victim, earlier))
            os.kill(pids(endpoint, victim)[0], signal.SIGKILL)
            eventually(partial(lambda after: sent(endpoint) > after + 100, sent(endpoint)))
            endpoint.stop()
    eventually(lambda: not any(alive(pid) for pid in pids(endpoint, "source", "sink")))
    count = sent(endpoint)

    text = endpoint.configuration.read_text()
    endpoint.configuration.write_text(text.replace("size = 300", "count = 0"))
    endpoint.start()

    eventually(lambda: complete(endpoint, count))
    numbers = list(dict.fromkeys(taken(endpoint)))
    assert numbers == sorted(numbers)


def test_the_agent_stays_small_beside_its_modules(endpoint: Endpoint, platform: Platform) -> None:
    folder = str(endpoint.folder)
    set_up(endpoint, source={"folder": folder, "count": 20_000, "size": 500}, sink={"folder": folder})
    endpoint.start()
    platform.wait_for(lambda: any(one.persistent["source"].get("alerts") == 20_000 for one in platform.heartbeats))

    status = Path(f"/proc/{endpoint.pid}/status").read_text()

    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    assert int(resident[1]) < 38_000


def test_check_looks_at_the_tables_too(endpoint: Endpoint) -> None:
    folder = str(endpoint.folder)
    set_up(
        endpoint,
        source={"folder": folder},
        sink={"folder": folder},
        othersink={"folder": folder},
        odd={"folder": folder, "broken": True},
        echo={},
    )
    with endpoint.configuration.open("a") as file:
        file.write("[persistent.second]\nfolder = 2026-01-01\n")

    shown = endpoint.run("--check", "--within", "120")

    assert shown.returncode == 1
    assert "ok      persistent: source\n" in shown.stdout
    assert "ok      persistent: othersink takes the alerts\n" in shown.stdout
    assert "persistent.sink: takes alerts, and so does othersink: only one may" in shown.stdout
    assert "could not look at its settings: ZeroDivisionError: while looking at the settings" in shown.stdout
    assert "persistent.echo: does not run persistently" in shown.stdout
    assert "persistent.second.folder: cannot be used" in shown.stdout


def test_the_program_refuses_to_run_what_is_not_persistent(endpoint: Endpoint) -> None:
    state = endpoint.folder / "module"
    state.mkdir()
    first = {"class": "config", "config": {}, "hostname": "h", "environment": {}, "tags": {}, "socket": "/none"}
    line = json.dumps({**first, "state": str(state), "memory_bytes": 1 << 29})

    for name, words in (("echo", "does not run persistently"), ("nosuch", "is not available")):
        shown = endpoint.run("-P", name, stdin=line + "\n")

        assert shown.returncode == 1
        assert words in shown.stdout
    assert endpoint.run("-P", "echo", stdin="").returncode == 0
