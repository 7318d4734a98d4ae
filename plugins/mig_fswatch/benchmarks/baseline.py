"""The first baseline of 100,000 files, beside ``sha256sum`` and AIDE, in turns, on the same processors.

    python -m benchmarks.baseline [--files 100000] [--rounds 3] [--folder DIR]

Run it from this plugin's folder. Files are as large as those of a system (23 KB on average); all are in the page
cache. ``sha256sum`` only hashes, with as many processes as there are processors; AIDE and the module also keep mode,
owner, times, links and extended attributes. Ends with status 1 when the module used more CPU than ``sha256sum``.
"""

# ruff: noqa: T201  # a benchmark prints

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

MEAN, SPREAD, LARGEST = 8.8, 1.6, 1 << 20
"""Of the logarithm of sizes: what /usr of a Debian server has."""
_CHILD = """
import json, sys, threading, time, resource
from pathlib import Path
from mig_fswatch.watch import Watch
class Service:
    hostname, environment, tags = "", {}, {}
    stopping = threading.Event()
    def __init__(self): self.config, self.state = {"paths": [sys.argv[1]]}, Path(sys.argv[2])
    def log(self, level, message): pass
    def status(self, status): pass
    def answer_with(self, handler): pass
    def alert(self, alert, *, timeout=None):
        if alert["type"] == "baseline":
            print(json.dumps(alert | {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)
            self.stopping.set()
        return True
Watch(Service()).run()
"""
_AIDE = """
database_out=file:{state}/aide.db
report_url=file:{state}/aide.log
gzip_dbout=no
num_workers={workers}
{files} p+u+g+s+m+c+n+i+ftype+sha256+xattrs+caps
"""


def make_files(folder: Path, count: int) -> int:
    """Makes the files; their bytes."""
    chance = random.Random(1)  # noqa: S311 - the same files each time
    data = chance.randbytes(LARGEST)
    total = 0
    for number in range(count):
        if number % 100 == 0:
            (folder / f"{number // 100}").mkdir()
        size = min(int(chance.lognormvariate(MEAN, SPREAD)), LARGEST)
        start = chance.randrange(LARGEST - size + 1)
        (folder / f"{number // 100}" / f"{number}").write_bytes(data[start : start + size])
        total += size
    return total


class Took(NamedTuple):
    """What a run cost."""

    seconds: float
    processor: float
    """Seconds of processors, user and system."""
    printed: str


def timed(command: list[str], cpus: str) -> Took:
    """Runs a command on some processors."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(["taskset", "-c", cpus, *command], check=False, stdout=subprocess.PIPE, text=True)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(took, used, done.stdout)


def of_sha256sum(files: Path, cpus: str, processes: int) -> Took:
    """sha256sum."""
    line = f"find {files} -type f -print0 | xargs -0 -P{processes} -n 500 sha256sum > /dev/null"
    return timed(["sh", "-c", line], cpus)


def of_aide(files: Path, cpus: str, processes: int) -> Took:
    """``aide --init``."""
    with tempfile.TemporaryDirectory() as state:
        settings = Path(state) / "aide.conf"
        settings.write_text(_AIDE.format(state=state, files=files, workers=processes))
        return timed(["aide", "--init", "--config", str(settings)], cpus)


def of_module(files: Path, cpus: str) -> Took:
    """The module, from the start of its process to the baseline on disk."""
    with tempfile.TemporaryDirectory() as state:
        return timed([sys.executable, "-c", _CHILD, str(files), state], cpus)


def main() -> int:
    """Runs it; the exit status."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--files", type=int, default=100_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--folder", default=None)
    options = asked.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        files = Path(folder) / "files"
        files.mkdir()
        total = make_files(files, options.files)
        print(f"{options.files} files, {total / options.files / 1024:.1f} KiB on average")
        of_sha256sum(files, "0", 1)  # into the page cache
        for count in range(1, (os.cpu_count() or 1) + 1):
            cpus = ",".join(map(str, range(count)))
            took: dict[str, list[Took]] = {"sha256sum": [], "aide": [], "fswatch": []}
            for _ in range(options.rounds):
                took["sha256sum"].append(of_sha256sum(files, cpus, count))
                if shutil.which("aide"):
                    took["aide"].append(of_aide(files, cpus, count))
                took["fswatch"].append(of_module(files, cpus))
            seconds = {name: statistics.median(one.seconds for one in each) for name, each in took.items() if each}
            used = {name: statistics.median(one.processor for one in each) for name, each in took.items() if each}
            ratio = used["fswatch"] / used["sha256sum"]
            worst = max(worst, ratio)
            memory = json.loads(took["fswatch"][-1].printed)["rss"] / 1024
            print(
                f"{count} processors: "
                + ", ".join(f"{one} {seconds[one]:.2f} s ({used[one]:.2f} s of CPU)" for one in used)
            )
            print(
                f"  fswatch / sha256sum: CPU {ratio:.2f}, time {seconds['fswatch'] / seconds['sha256sum']:.2f}; "
                f"largest resident {memory:.0f} MB"
            )
            if count == 2:  # more tell nothing new
                break
    return int(worst > 1.0)


if __name__ == "__main__":
    sys.exit(main())
