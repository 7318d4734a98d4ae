"""The module at rest and under load::

    python -m benchmarks.live [--files 50000] [--rate 5000] [--seconds 10] [--folder DIR]

Run it from this plugin's folder, as root. First its CPU while it watches so many files and nothing happens; then so
many new files a second, each of which has to be told: by its path, and in the sums. Ends with status 1 when a file is
missing, when the sums differ, or when it takes 0.2 % of a processor or more at rest. "At rest" means the whole file
system: names that others make and remove there are heard (and put aside). A folder on one that nobody else uses shows
what the module itself takes.
"""

# ruff: noqa: T201  # a benchmark prints

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

MOST_AT_REST = 0.2
"""Percent of a processor."""
_CHILD = """
import json, os, resource, signal, sys, threading
from pathlib import Path
from mig_fswatch.watch import Watch
out = open(sys.argv[3], "w")
class Service:
    hostname, environment, tags = "", {}, {}
    stopping = threading.Event()
    def __init__(self):
        self.config = {"paths": [sys.argv[1]], "method": sys.argv[4], "keep_changes": 10_000}
        self.state = Path(sys.argv[2])
    def log(self, level, message): pass
    def status(self, status): self.last = status
    def answer_with(self, handler): pass
    def alert(self, alert, *, timeout=None):
        out.write(json.dumps(alert) + chr(10)); out.flush()
        if alert["type"] == "baseline": print("ready", flush=True)
        return True
service = Service()
def stop(*_):
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"rss": used.ru_maxrss, "status": service.last}), flush=True)
    service.stopping.set()
signal.signal(signal.SIGTERM, stop)
Watch(service).run()
"""
_WRITER = """
import os, sys, time
folder, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
began = time.monotonic(); number = 0
while (now := time.monotonic() - began) < seconds:
    while number < now * rate:
        fd = os.open(f"{folder}/{number % 500}/new-{number}", os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"%d" % number); os.close(fd); number += 1
    time.sleep(0.001)
print(number, time.monotonic() - began)
"""


def processor_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def told_in(alerts: Path) -> tuple[set[str], Counter[str], int]:
    """Paths of new files, the sums of the alerts, and how many alerts there were."""
    paths: set[str] = set()
    sums: Counter[str] = Counter()
    lines = alerts.read_text().split("\n")[:-1]
    for line in lines:
        alert = json.loads(line)
        if alert["type"] == "file_change":
            sums[alert["change"]] += 1
            paths.add(alert["path"])
        elif alert["type"] == "file_changes":
            sums.update(alert["counts"])
            paths.update(one["path"] for one in alert["changes"])
        elif alert["type"] == "comparison":
            sums["comparisons"] += 1
    return paths, sums, len(lines)


def run(folder: Path, method: str, options: argparse.Namespace) -> bool:
    """One of the kernel's interfaces; whether all is as it should be."""
    files, state, alerts = folder / "files", folder / f"state-{method}", folder / f"alerts-{method}"
    state.mkdir()
    command = [sys.executable, "-c", _CHILD, str(files), str(state), str(alerts), method]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(3)
    # 1. at rest
    before, began = processor_seconds(child.pid), time.monotonic()
    time.sleep(3 * options.seconds)
    rest = 100 * (processor_seconds(child.pid) - before) / (time.monotonic() - began)
    # 2. under load
    before, began = processor_seconds(child.pid), time.monotonic()
    words = [sys.executable, "-c", _WRITER, str(files), str(options.rate), str(options.seconds)]
    made_text, took_text = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    made, took = int(made_text), float(took_text)
    deadline = time.monotonic() + 60
    while told_in(alerts)[1]["new"] < made and time.monotonic() < deadline:
        time.sleep(0.5)
    behind = time.monotonic() - began - took
    busy = processor_seconds(child.pid) - before
    child.terminate()
    told = json.loads(child.stdout.readline())
    child.wait()
    paths, sums, count = told_in(alerts)
    missing = made - sum(f"{files}/{number % 500}/new-{number}" in paths for number in range(made))
    print(
        f"{method}: at rest {rest:.3f} % of a processor with {options.files} files; {made / took:.0f} new files "
        f"a second for {took:.0f} s: {sums['new']} of {made} told in {count} alerts, {missing} missing, "
        f"{told['status']['overflows']} overflows, {sums['comparisons']} comparisons, "
        f"{busy / made * 1e6:.0f} µs of CPU each, "
        f"the last told {behind:.1f} s after it was made; largest resident {told['rss'] / 1024:.0f} MB"
    )
    for path in files.glob("*/new-*"):
        path.unlink()
    return not missing and sums["new"] == made and rest < MOST_AT_REST


def main() -> int:
    """Runs it; the exit status."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--files", type=int, default=50_000)
    asked.add_argument("--rate", type=int, default=5000)
    asked.add_argument("--seconds", type=float, default=10)
    asked.add_argument("--folder", default=None)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for number in range(options.files):
            folder = Path(name) / "files" / f"{number % 500}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}").write_text(f"{number}")
        fine = [run(Path(name), method, options) for method in ("fanotify", "inotify")]
    return int(not all(fine))


if __name__ == "__main__":
    sys.exit(main())
