"""kill -9 at random moments, in front of a server that fails, hangs and hangs up: nothing is lost, order is kept, the
counters add up.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD = Path(__file__).with_name("serving_child.py")
COUNT = 2000
REFUSED = 97
"""Alerts whose number it divides are refused for good."""


class Source:
    """Sends alerts 1 to COUNT, again from the last acknowledged one whenever the process is started anew."""

    def __init__(self, state: Path, config: dict[str, Any], chance: random.Random) -> None:
        self._arguments = [sys.executable, str(CHILD), str(state), json.dumps(config)]
        self._chance = chance
        self.accepted = 0

    def start(self) -> None:
        self.process = subprocess.Popen(self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self) -> None:
        """Sends until all are accepted or the process is gone."""
        while self.accepted < COUNT:
            last = min(COUNT, self.accepted + self._chance.randint(1, 60))
            answer = self._exchange(list(range(self.accepted + 1, last + 1)))
            if answer is None:
                return
            self.accepted = answer
            time.sleep(self._chance.random() * 0.01)

    def counters(self) -> dict[str, Any]:
        answer = self._exchange("ask")
        assert answer is not None
        found: dict[str, Any] = answer["elements"]["sinks"][0]
        return found

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                continue
        self.process.wait(60)

    def _exchange(self, message: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None


@pytest.mark.parametrize("form", ["record", "lines"])
def test_every_alert_arrives_in_order_however_often_the_process_is_killed(
    tmp_path: Path, http_receiver: Any, eventually: Callable[..., None], form: str
) -> None:
    chance = random.Random(int(os.environ.get("MIG_TEST_SEED", "1")))
    accepted: list[int] = []

    def answer(request: Any) -> int | None:
        numbers = [one["event"]["n"] for one in request.records()]
        drawn = chance.random()
        if drawn < 0.01:
            return None
        if drawn < 0.05:
            return 503
        if any(number % REFUSED == 0 for number in numbers):
            return 422
        accepted.extend(numbers)
        if drawn < 0.07:
            raise ConnectionError("hangs up without an answer")
        return 200

    receiver = http_receiver(answer)
    sink = {"name": "web", "kind": "http", "url": receiver.url, "format": form, "timeout": "200ms", "batch": 20}
    config = {"sinks": [{**sink, "retry_min": "10ms", "retry_max": "40ms"}]}
    source = Source(tmp_path / "state", config, chance)

    try:
        for _ in range(8):
            source.start()
            killer = threading.Timer(0.3 + chance.random() * 0.5, source.process.kill)
            killer.start()
            source.run()
            killer.join()
            source.end()
        source.start()
        source.run()
        eventually(lambda: source.counters()["spooled"] == 0, 180)
        counters = source.counters()
    finally:
        source.kill()

    first_time = list(dict.fromkeys(accepted))
    assert first_time == [number for number in range(1, COUNT + 1) if number % REFUSED]
    letters = (tmp_path / "state" / "dead" / "web.jsonl").read_text().splitlines()
    assert {json.loads(one)["event"]["n"] for one in letters} == set(range(REFUSED, COUNT + 1, REFUSED))
    assert counters["received"] == counters["delivered"] + counters["dead_lettered"]
    assert counters["damaged"] == 0
    assert COUNT <= counters["received"] <= COUNT + 9 * 60
    assert counters["dead_lettered"] >= COUNT // REFUSED
    assert len(accepted) >= counters["delivered"]
