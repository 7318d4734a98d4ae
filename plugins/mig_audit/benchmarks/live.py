"""The module beside Debian's auditd on the same load, as root, with auditing otherwise unused::

    python plugins/mig_audit/benchmarks/live.py [--seconds 10] [--rounds 3]

First 1,000 execve a second, made by four processes: CPU of auditd writing raw logs, and of the module making complete
JSON events (written to /dev/null), in turns. Then getppid at rising rates: CPU and losses. Auditing is left as it was.

Ends with status 1 when the module needs more than twice auditd's CPU for an execve, or when anything is lost at up to
20,000 events a second; with 0 otherwise. Measure when nothing else runs: the load is made on the same processors.
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

EXECUTIONS = 1000
"""execve a second."""
RATES = (1000, 5000, 10_000, 20_000, 30_000, 50_000)
"""getppid a second."""
MOST_RATIO = 2.0
WITHOUT_LOSS = 20_000
"""Events a second up to which nothing may be lost."""

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
print(number, time.monotonic() - started)
"""

CALLS = """
import os, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
started = time.monotonic(); number = 0
while (now := time.monotonic() - started) < seconds:
    while number < now * rate:
        os.getppid(); number += 1
    time.sleep(0.001)
print(number, time.monotonic() - started)
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
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
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


def load(program: str, rate: int, seconds: float, *, processes: int = 1) -> tuple[int, float]:
    """Runs a load that is shared by processes; how much they did in all, and how much a second."""
    command = [sys.executable, "-c", program, str(rate / processes), str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    said = [one.communicate()[0].split() for one in running]
    return sum(int(number) for number, _took in said), sum(int(number) / float(took) for number, took in said)


def executions(asked: kernel.Kernel, folder: Path, seconds: float, rounds: int) -> float:
    """The module beside auditd, in turns: how many times its CPU the module needs for an execve."""
    used: dict[str, list[float]] = {"auditd": [], "module": []}
    for _ in range(rounds):
        for label, subject in (("auditd", auditd), ("module", module)):
            with subject(folder, EXEC) as pid:
                time.sleep(1)
                assert len(asked.rules()) == 1, "another audit daemon is in the way"
                start, began = cpu(pid), time.monotonic()
                done, rate = load(EXECUTE, EXECUTIONS, seconds, processes=4)
                time.sleep(0.5)
                spent, took = cpu(pid) - start, time.monotonic() - began
                resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024
            used[label].append(spent / done * 1e6)
            print(
                f"{label}: {rate:,.0f} execve/s, {spent / took:.1%} CPU, {spent / done * 1e6:.0f} us/execve, "
                f"{resident} MB resident"
            )
    return sum(used["module"]) / sum(used["auditd"])


def calls(asked: kernel.Kernel, folder: Path, rate: int) -> bool:
    """The module with one audited call at a rate; whether anything was lost."""
    with module(folder, CALL) as pid:
        time.sleep(1)
        start, lost = cpu(pid), asked.status().lost
        done, reached = load(CALLS, rate, 5)
        status: dict[str, Any] = {"queued_records": 1}
        while status["queued_records"]:  # it is worked off
            time.sleep(2.5)
            status = json.loads((folder / "status").read_text())
        spent, lost = cpu(pid) - start, asked.status().lost - lost
    print(
        f"getppid: {reached:,.0f} events/s, {spent / done * 1e6:.0f} us each, kernel lost {lost}, "
        f"of {done} the module made {status['events']}, dropped {status['lost']['queue_records']} records"
    )
    return bool(lost) or any(status["lost"].values())


def main() -> int:
    """Measures and prints; the status to end with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    asked = kernel.Kernel()
    before = asked.status()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            ratio = executions(asked, folder, chosen.seconds, chosen.rounds)
            print(f"ratio module / auditd, CPU for each execve: {ratio:.2f}")
            losing = [rate for rate in RATES if calls(asked, folder, rate)]
        finally:
            with contextlib.suppress(kernel.KernelRefused):
                asked.change(
                    netlink.Status(
                        mask=netlink.ENABLED | netlink.BACKLOG_LIMIT | netlink.BACKLOG_WAIT_TIME,
                        enabled=before.enabled,
                        backlog_limit=before.backlog_limit,
                        backlog_wait_time=before.backlog_wait_time,
                    ),
                    "restore",
                )
    if ratio > MOST_RATIO:
        print(f"more than {MOST_RATIO:g} times auditd's CPU")
    if losing and losing[0] <= WITHOUT_LOSS:
        print(f"losses at {losing[0]:,} events/s; up to {WITHOUT_LOSS:,} nothing may be lost")
    return int(ratio > MOST_RATIO or bool(losing and losing[0] <= WITHOUT_LOSS))


if __name__ == "__main__":
    sys.exit(main())
