"""kill -9 at random moments for the receiver itself: a program that stores what it accepts, killed in the middle of it
and started again on the same port, while alerts go on.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHILD = Path(__file__).with_name("receiving_child.py")
KILLS = 6
BATCH = 20
REFUSED = 97
"""As the child has it."""
UNREAD = 2 * 8192
"""Bytes that the child of syslog may have taken and not stored: the socket's buffer and the reader's own."""
MESSAGE = 150
"""No message of syslog is shorter."""
FAST = {"retry_min": "10ms", "retry_max": "40ms", "timeout": "60s", "batch": BATCH}


class Receiver:
    """The program, its port, which stays reserved while it is dead, and its book."""

    def __init__(self, kind: str, book: Path, chance: random.Random) -> None:
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port = int(self._reserved.getsockname()[1])
        self._words = [sys.executable, str(CHILD), kind, str(self.port), str(book)]
        self._book = book
        self._chance = chance

    def start(self) -> None:
        self._process = subprocess.Popen([*self._words, str(self._chance.randint(0, 1 << 30))], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def requests(self) -> list[dict[str, Any]]:
        """What it has promised to keep, in order."""
        whole = self._book.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def numbers(self) -> list[int]:
        return [number for one in self.requests() for number in one["numbers"]]

    def close(self) -> None:
        self.kill()
        self._reserved.close()


class Source:
    """Sends alerts 1, 2, 3, … at an uneven pace until it is told to stop."""

    def __init__(self, service: Any, chance: random.Random) -> None:
        self._service = service
        self._chance = chance
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._enough.wait(self._chance.random() * 0.02):
            last = self.sent + self._chance.randint(1, 8)
            self._service.send(*(b'{"n":%d}' % number for number in range(self.sent + 1, last + 1)))
            self.sent = last


@pytest.fixture
def chance() -> random.Random:
    return random.Random(int(os.environ.get("MIG_TEST_SEED", "1")))


@pytest.fixture
def receiver(tmp_path: Path, chance: random.Random) -> Iterator[Callable[[str], Receiver]]:
    started: list[Receiver] = []

    def start(kind: str) -> Receiver:
        started.append(Receiver(kind, tmp_path / "book", chance))
        started[0].start()
        return started[0]

    yield start
    for one in started:
        one.close()


def killed_again_and_again(
    service: Any, killed: Receiver, chance: random.Random, eventually: Callable[..., None]
) -> tuple[int, dict[str, Any]]:
    """Alerts flow while the receiver dies and comes back; how many were sent, and the books when all have settled."""
    source = Source(service, random.Random(chance.random()))
    source.start()
    try:
        for _ in range(KILLS):
            time.sleep(0.05 + chance.random() * 0.2)
            killed.kill()
            assert adds_up(service.sink("it"))
            time.sleep(chance.random() * 0.1)
            killed.start()
            assert adds_up(service.sink("it"))
    finally:
        source.stop()
    eventually(lambda: service.sink("it")["spooled"] == 0, 180)
    return source.sent, service.sink("it")


def adds_up(sink: dict[str, Any]) -> bool:
    settled = sink["delivered"] + sink["dead_lettered"] + sink["damaged"]
    return bool(sink["received"] == settled + sink["spooled"])


@pytest.mark.parametrize("form", ["record", "lines"])
def test_what_an_http_receiver_has_stored_is_everything_in_order_however_often_it_is_killed(
    serving: Any, receiver: Any, chance: random.Random, eventually: Callable[..., None], tmp_path: Path, form: str
) -> None:
    killed = receiver("http")
    service = serving({"name": "it", "kind": "http", "url": f"http://127.0.0.1:{killed.port}/", "format": form, **FAST})

    sent, books = killed_again_and_again(service, killed, chance, eventually)

    refused = set(range(REFUSED, sent + 1, REFUSED))
    assert (books["received"], books["delivered"], books["dead_lettered"]) == (sent, sent - len(refused), len(refused))
    assert books["damaged"] == 0
    assert books["failures"] >= 1
    letters = (tmp_path / "state" / "dead" / "it.jsonl").read_text().splitlines()
    assert [json.loads(one)["event"]["n"] for one in letters] == sorted(refused)
    stored = killed.numbers()
    assert list(dict.fromkeys(stored)) == [number for number in range(1, sent + 1) if number not in refused]
    if form == "record":  # a receiver can tell a repetition: its key is the same
        keys = {(one["key"], *one["numbers"]) for one in killed.requests()}
        assert len({key for key, _number in keys}) == len({number for _key, number in keys}) == len(keys)
    # A repetition is what was under way when the receiver was killed: one request, of one batch at most.
    back = [before - after for before, after in pairwise(stored) if after <= before]
    assert len(back) <= KILLS
    assert all(distance < (1 if form == "record" else BATCH) for distance in back)


def test_a_syslog_receiver_that_is_killed_loses_only_what_it_had_not_read(
    serving: Any, receiver: Any, chance: random.Random, eventually: Callable[..., None]
) -> None:
    killed = receiver("syslog")
    service = serving({"name": "it", "kind": "syslog", "url": f"tcp://127.0.0.1:{killed.port}", **FAST})

    sent, books = killed_again_and_again(service, killed, chance, eventually)

    eventually(lambda: killed.numbers()[-1:] == [sent])
    stored = killed.numbers()
    assert (books["received"], books["delivered"], books["damaged"]) == (sent, sent, 0)
    first_time = list(dict.fromkeys(stored))
    assert first_time == sorted(first_time)
    # Whatever is missing had arrived in the machine of the receiver: one run for each kill, no longer than its buffers.
    runs = [after - before - 1 for before, after in pairwise([0, *first_time]) if after > before + 1]
    assert len(runs) <= KILLS
    assert all(run * MESSAGE <= UNREAD for run in runs)
    back = [before - after for before, after in pairwise(stored) if after <= before]
    assert len(back) <= KILLS
    assert all(distance < BATCH for distance in back)
