"""Alerts a second: into the spool, and from the spool to an HTTP receiver, beside urllib3 alone without any spool.

``python throughput.py [ALERTS]``: one table on standard output; everything is measured in the same run, against the
same receiver (a minimal one, in a process of its own), with the same records.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from mig_core.plugin.network import Backoff
from mig_core.plugin.persistent import Incoming
from mig_dispatch.deadletters import DeadLetters
from mig_dispatch.delivery import Delivery
from mig_dispatch.receipts import Receipts
from mig_dispatch.record import Alert, RecordMaker, pack
from mig_dispatch.serving import Intake
from mig_dispatch.settings import SinkSettings
from mig_dispatch.sinks.factory import make_sink
from mig_dispatch.spool import Spool
from mig_dispatch.targets import FileTarget, Target, WebTarget

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 100
SINKS = ("one", "lines", "file")
EVENT: dict[str, object] = {
    "type": "EXECVE",
    "serial": 123456,
    "arguments": ["/usr/bin/find", "/var", "-name", "*.log", "-mtime", "+7", "-delete"],
    "user": {"uid": 1000, "name": "deploy"},
    "paths": [{"name": f"/usr/lib/x86_64-linux-gnu/lib{name}.so.6", "inode": 1234} for name in ("c", "m", "dl")],
    "proctitle": "find /var -name *.log -mtime +7 -delete",
}
RAW = json.dumps(EVENT, separators=(",", ":")).encode()


class Bench:
    """One spool in one folder."""

    def __init__(self, count: int, url: str) -> None:
        self.count = count
        self.url = url
        self.maker = RecordMaker("web1.example", {"os": "linux", "arch": "amd64"}, {"operator": "it"})
        self.stopping = threading.Event()

    def checked(self) -> float:
        """Alerts checked and packed a second, on one core, nothing written."""
        return self._rate(lambda: [pack(Incoming(n, "audit", RAW), "2026-11-23T06:28:15Z") for n in range(self.count)])

    def into_spool(self, spool: Spool) -> float:
        """Alerts durably taken a second, in batches."""
        intake = Intake(spool, self.stopping, lambda: datetime.now(UTC))
        batch = [Incoming(number, "audit", RAW) for number in range(BATCH)]

        def run() -> None:
            for _ in range(self.count // BATCH):
                intake.take(batch)

        return self._rate(run)

    def delivered(self, spool: Spool, folder: Path, name: str, target: Target) -> float:
        """Alerts delivered a second from a spool that holds them all."""
        settings = SinkSettings(name, "http" if isinstance(target, WebTarget) else "file", target, batch=BATCH)
        with closing(Receipts(spool, SINKS)) as receipts:  # all, so that none frees what another is still to read
            delivery = Delivery(
                settings,
                make_sink(settings, self.maker, spool.id),
                spool,
                receipts,
                DeadLetters(folder / "dead", 1 << 20),
                stopping=self.stopping,
                backoff=Backoff(),
                now=lambda: datetime.now(UTC),
                log=lambda _level, text: sys.exit(text),
            )

            def run() -> None:
                delivery.start()
                while receipts.of(name).next < spool.next:
                    time.sleep(0.005)

            rate = self._rate(run)
            self.stopping.set()
            spool.wake()
            delivery.join()
            self.stopping.clear()
            assert receipts.of(name).delivered == self.count
            return rate

    def plain(self, lines: int) -> float:
        """Records posted a second by urllib3 alone, ``lines`` in each request; nothing is kept anywhere."""
        manager = urllib3.PoolManager(maxsize=1)
        record = self.maker.record(Alert(1, "", "audit", RAW))
        body = record if lines == 1 else (record + b"\n") * lines

        def run() -> None:
            for _ in range(self.count // lines):
                answer = manager.request("POST", self.url, body=body, retries=False)
                assert answer.status == 200

        return self._rate(run)

    def _rate(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return self.count / (time.perf_counter() - started)


def main(count: int) -> None:
    """Measures and prints."""
    receiver = subprocess.Popen([sys.executable, __file__, "receive"], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/"
        bench = Bench(count, url)
        with tempfile.TemporaryDirectory(dir=os.environ.get("MIG_BENCH_FOLDER")) as name:
            folder = Path(name)
            with closing(Spool(folder / "spool", max_bytes=1 << 30, new_id=lambda: "bench")) as spool:
                rows = [
                    ("checked and packed, nothing written", bench.checked()),
                    (f"into the spool, {BATCH} a batch, synced", bench.into_spool(spool)),
                    ("urllib3 alone, a record a request", bench.plain(1)),
                    ("spool to HTTP, a record a request", bench.delivered(spool, folder, "one", WebTarget(url))),
                    (f"urllib3 alone, {BATCH} lines a request", bench.plain(BATCH)),
                    (
                        f"spool to HTTP, {BATCH} lines a request",
                        bench.delivered(spool, folder, "lines", WebTarget(url, lines=True)),
                    ),
                    (
                        f"spool to a file, {BATCH} a batch, synced",
                        bench.delivered(spool, folder, "file", FileTarget(str(folder / "out"), 1 << 30, 1)),
                    ),
                ]
    finally:
        receiver.kill()
        receiver.wait()
    sys.stdout.write(f"{count} alerts of {len(RAW)} bytes\n")
    for what, rate in rows:
        sys.stdout.write(f"{what:<42} {rate:>10,.0f} alerts/s\n")


class _Receiver(asyncio.Protocol):
    """Reads requests with a Content-Length and answers 200; nothing else."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each whole request."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            at = self._rest.lower().index(b"content-length:")
            size = int(self._rest[at + 15 : self._rest.index(b"\r\n", at)])
            if len(self._rest) < end + 4 + size:
                return
            self._rest = self._rest[end + 4 + size :]
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def _receive() -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["receive"]:
        asyncio.run(_receive())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
