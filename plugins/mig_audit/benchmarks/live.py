"""The module beside Debian's auditd on the same load, as root, with auditing otherwise unused::

    python plugins/mig_audit/benchmarks/live.py [--seconds 10] [--rounds 2]

First 1,000 execve a second: CPU of auditd writing raw logs, and of the module making complete JSON events (written to
/dev/null), in turns. Then getppid at rising rates: CPU and losses. Auditing is left as it was.
"""

# ruff: noqa: T201  # a benchmark prints

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_audit import kernel, netlink, rule_fields, rule_line

if TYPE_CHECKING:
    from collections.abc import Iterator

EXEC = "-a always,exit -F arch=b64 -S execve -k bench"
CALL = "-a always,exit -F arch=b64 -S getppid -k bench"

MODULE = """
import json, os, sys, threading
from pathlib import Path
from mig_audit import AuditModule
sink = os.open("/dev/null", os.O_WRONLY)
class Service:
    config = json.loads(sys.argv[1]); hostname = ""; environment = {}; tags = {}; state = Path(sys.argv[2])
    stopping = threading.Event()
    def log(self, level, message): pass
    def status(self, status): (self.state / "status").write_text(json.dumps(status))
    def alert(self, alert, *, timeout=None):
        os.write(sink, json.dumps(alert, ensure_ascii=False, separators=(",", ":")).encode() + b"\\n"); return True
    def answer_with(self, handler): print("ready", flush=True)
import signal
signal.signal(signal.SIGTERM, lambda *_: Service.stopping.set())
AuditModule().serve(Service())
"""

EXECUTE = """
import os, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
started = time.monotonic(); number = 0
while (now := time.monotonic() - started) < seconds:
    while number < now * rate:
        os.waitpid(os.posix_spawn("/bin/true", ["/bin/true", str(number)], {}), 0); number += 1
    time.sleep(0.001)
print(number)
"""

CALLS = """
import os, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
started = time.monotonic(); number = 0
while (now := time.monotonic() - started) < seconds:
    while number < now * rate:
        os.getppid(); number += 1
    time.sleep(0.001)
print(number)
"""


def cpu(pid: int) -> float:
    """Seconds that all threads of a process have used."""
    total = 0
    for one in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((one / "schedstat").read_text().split()[0])
    return total / 1e9


@contextlib.contextmanager
def auditd(folder: Path, line: str) -> Iterator[int]:
    """Debian's daemon, writing raw logs."""
    (folder / "log").mkdir(exist_ok=True)
    (folder / "auditd.conf").write_text(
        f"log_file = {folder}/log/audit.log\nlog_format = RAW\nflush = INCREMENTAL_ASYNC\nfreq = 50\n"
        "local_events = yes\n"
        "write_logs = yes\nmax_log_file = 999\nnum_logs = 2\npriority_boost = 4\nname_format = NONE\n"
        "space_left = 75\nadmin_space_left = 50\nspace_left_action = SYSLOG\nadmin_space_left_action = SUSPEND\n"
        f"disk_full_action = SUSPEND\ndisk_error_action = SUSPEND\nplugin_dir = {folder}/plugins.d\n"
    )
    (folder / "plugins.d").mkdir(exist_ok=True)
    os.chmod(folder / "auditd.conf", 0o640)
    process = subprocess.Popen(["auditd", "-n", "-c", str(folder)], stderr=subprocess.DEVNULL)
    asked = kernel.Kernel()
    made, _note = rule_line.read(line, rule_fields.Accounts())
    assert made is not None
    try:
        while asked.status().pid != process.pid:
            time.sleep(0.05)
        asked.change(netlink.Status(mask=0x30, backlog_limit=65_536, backlog_wait_time=0), "backlog")
        asked.add(made.pack(), line)
        yield process.pid
    finally:
        for one in asked.rules():
            asked.delete(one, "rule")
        process.terminate()
        process.wait()
        asked.close()


@contextlib.contextmanager
def module(folder: Path, line: str) -> Iterator[int]:
    """The module, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", MODULE, json.dumps({"rules": [line]}), str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def load(program: str, rate: int, seconds: float) -> int:
    """Runs a load; how much it did."""
    command = [sys.executable, "-c", program, str(rate), str(seconds)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    asked = kernel.Kernel()
    before = asked.status()
    used: dict[str, list[float]] = {"auditd": [], "module": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for _ in range(chosen.rounds):
                for label, subject in (("auditd", auditd), ("module", module)):
                    with subject(folder, EXEC) as pid:
                        time.sleep(1)
                        assert len(asked.rules()) == 1, "another audit daemon is in the way"
                        start, began = cpu(pid), time.monotonic()
                        done = load(EXECUTE, 1000, chosen.seconds)
                        time.sleep(0.5)
                        took, spent = time.monotonic() - began - 0.5, cpu(pid) - start
                        used[label].append(spent / done * 1e6)
                        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024
                    print(
                        f"{label}: {done / took:,.0f} execve/s, {spent / took:.1%} CPU, "
                        f"{spent / done * 1e6:.0f} us/execve, {resident} MB resident"
                    )
            ratio = sum(used["module"]) / sum(used["auditd"])
            print(f"ratio module / auditd, CPU for each execve: {ratio:.2f}")
            for rate in (1000, 5000, 10_000, 20_000, 30_000, 50_000):
                with module(folder, CALL) as pid:
                    time.sleep(1)
                    start, lost, began = cpu(pid), asked.status().lost, time.monotonic()
                    done = load(CALLS, rate, 5)
                    took = time.monotonic() - began
                    status: dict[str, Any] = {"queued_records": 1}
                    while status["queued_records"]:  # it is worked off
                        time.sleep(2.5)
                        status = json.loads((folder / "status").read_text())
                    spent, lost = cpu(pid) - start, asked.status().lost - lost
                print(
                    f"getppid: {done / took:,.0f} events/s, {spent / done * 1e6:.0f} us each, kernel lost {lost}, "
                    f"of {done} the module made {status['events']}, dropped {status['lost']['queue_records']} records"
                )
        finally:
            with contextlib.suppress(kernel.KernelRefused):
                asked.change(
                    netlink.Status(
                        mask=0x31,
                        enabled=before.enabled,
                        backlog_limit=before.backlog_limit,
                        backlog_wait_time=before.backlog_wait_time,
                    ),
                    "restore",
                )


if __name__ == "__main__":
    main()
