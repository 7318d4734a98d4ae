"""The simulator as seen from outside: some worker processes that share the agents."""

from __future__ import annotations

import contextlib
import itertools
import json
import selectors
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from benchmarks.simulator.worker import Orders

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 10.0
_SUMS = ("enrolled", "listening", "received", "repeated", "answered", "broken")


class WorkersFailed(Exception):
    """A worker did not do what it should; says what it complained about."""


class Workers:
    """Starts workers and ends them. Use as a context manager.

    Args:
        agents: how many, over all workers.
        processes: how many workers.
        log: file for what they write to standard error.
    """

    def __init__(
        self,
        *,
        agents: int,
        processes: int,
        api: str,
        relay: str,
        secret: str,
        heartbeat_interval: float,
        finds_every: int,
        log: Path,
    ) -> None:
        bounds = [agents * index // processes for index in range(processes + 1)]
        self._orders = [
            Orders(api, relay, secret, first, last - first, finds_every, heartbeat_interval)
            for first, last in itertools.pairwise(bounds)
        ]
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> Self:
        for orders in self._orders:
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.simulator.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,  # a line that waited in a buffer would not wake the selector
                )
            self._processes.append(process)
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(orders)).encode("ascii") + b"\n")
        return self

    def enrol(self) -> None:
        """Has the agents enrol, once their keys are made."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"enrol\n")

    def wait_for(self, event: str, *, seconds: float) -> dict[str, Any]:
        """The workers' sums, once all of them have said ``event``.

        Raises:
            WorkersFailed: not in time, or a worker has ended.
        """
        deadline = time.monotonic() + seconds
        said: dict[int, dict[str, Any]] = {}
        with selectors.DefaultSelector() as selector:
            for process in self._processes:
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ, process)
            while len(said) < len(self._processes):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise WorkersFailed(
                        f"the simulated agents were not {event} within {seconds:.0f} s; see {self._log}"
                    )
                for key, _ in ready:
                    process = key.data
                    line = process.stdout.readline()
                    if not line:
                        raise WorkersFailed(f"a worker has ended; see {self._log}")
                    document = json.loads(line)
                    if document["event"] == event:
                        said[process.pid] = document
                        selector.unregister(process.stdout)
        sums = {key: sum(one[key] for one in said.values()) for key in _SUMS}
        return {**sums, "complaints": [text for one in said.values() for text in one["complaints"]]}

    def end(self) -> dict[str, Any]:
        """Has the agents leave; the workers' last sums."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        return self.wait_for("end", seconds=60)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            process.kill()
            process.wait()
        self._processes.clear()
