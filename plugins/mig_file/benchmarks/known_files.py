"""What a list of 20,000 hashes costs: against the same question for one hash, over the same files.

``python plugins/mig_file/benchmarks/known_files.py [--files 100000] [--rounds 5]``. Both hash every file. Ends with
status 1 when the list takes more than :data:`BOUND` times as long, or finds something else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from mig_core.plugin.module import Context
from mig_endpoint.finding.known import Hash, packed
from mig_file import FileModule

BOUND = 1.1


def ask(folder: Path, **filters: list[str]) -> tuple[float, int]:
    """Seconds, and how many files are found."""
    module = FileModule()
    search = {"paths": [str(folder)], "options": {"matchall": True}, **filters}
    started = time.perf_counter()
    asked = module.parse_parameters({"searches": {"s": search}})
    result = module.run(asked, Context(deadline=time.monotonic() + 3600))
    seconds = time.perf_counter() - started
    assert result.coverage.complete
    return seconds, len(list(module.rows(result)))


def main() -> int:
    """Runs the race."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chance = random.Random(1)  # noqa: S311  # data to look at
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.files):
            if number % 1000 == 0:
                (folder / f"{number // 1000:03}").mkdir()
            (folder / f"{number // 1000:03}" / f"f{number}").write_bytes(b"%d" % number * chance.randrange(1, 800))
        wanted = hashlib.sha256((folder / "000" / "f0").read_bytes()).digest()
        listed = packed(
            [Hash("sha256", chance.randbytes(32), None) for _ in range(19_999)] + [Hash("sha256", wanted, None)]
        )
        ask(folder, sha2=[wanted.hex()])
        times: dict[str, list[float]] = {"one": [], "list": []}
        for _ in range(options.rounds):
            for word, filters in (("one", {"sha2": [wanted.hex()]}), ("list", {"hashes": listed})):
                seconds, found = ask(folder, **filters)
                times[word].append(seconds)
                assert found >= 1
    medians = {word: statistics.median(values) for word, values in times.items()}
    ratio = medians["list"] / medians["one"]
    sys.stdout.write(json.dumps({"seconds": medians, "times": ratio}, indent=2) + "\n")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
