"""This commit's modules against another's: ``python -m benchmarks.modules.builds COMMIT``, as root.

Both builds are made beside the work tree: a git worktree of the commit, installed into a virtual environment of its
own; they are removed at the end. Both answer the same questions in turn, whole process against whole process
(``mig-agent -m``); printed is the median of what each pair of runs took, ours divided by the other's, for time on the
clock and of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.modules.race import Competitor, program, race, ratio
from benchmarks.modules.trees import NEEDLE, large_tree, small_tree
from benchmarks.other_build import built
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON

PROGRAM = "mig-agent"
TARGET = """
import mmap, sys, time
text = b"the quick brown fox jumps over 13 lazy dogs, user@example.org and 10.0.0.1 " * 14000
place = mmap.mmap(-1, 256 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for start in range(0, 256 << 20, 1 << 20): place[start:start + (1 << 20)] = text[:1 << 20]
print("ready", flush=True)
time.sleep(3600)
"""


def main() -> int:
    """Runs the races."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit", help="the other build, as git names it")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--trees", type=Path, default=Path(tempfile.gettempdir()) / "mig-benchmark-trees")
    options = parser.parse_args()
    options.trees.mkdir(exist_ok=True)
    rows: list[list[str]] = []
    with built("HEAD") as ours, built(options.commit) as theirs, _target() as target:
        for name, module, parameters in _questions(options.trees, target):
            message = json.dumps({"class": "parameters", "parameters": parameters}).encode() + b"\n"
            competitors = [
                Competitor(who, program([str(build.programs / PROGRAM), "-m", module], text=message), lambda _output: 0)
                for who, build in (("ours", ours), ("theirs", theirs))
            ]
            race(competitors, options.runs)
            wall, processor = ratio(*competitors), ratio(*competitors, cpu=True)
            rows.append([name, f"{wall:.2f}", f"{processor:.2f}"])
            sys.stderr.write(f"{name}: {wall:.2f} {processor:.2f}\n")
    print_table(f"ours / {options.commit}, medians of {options.runs} pairs", ["question", "wall", "processor"], rows)
    return 0


def _questions(trees: Path, target: str) -> Iterator[tuple[str, str, JSON]]:
    small, large = str(small_tree(trees)), str(large_tree(trees))
    empty = trees / "empty"
    empty.mkdir(exist_ok=True)

    def search(path: str, **checks: JSON) -> JSON:
        options = {"matchall": True, **checks.pop("options", {})}  # type: ignore[dict-item]  # a mapping, if it is there
        return {"searches": {"s1": {"paths": [path], **checks, "options": options}}}

    yield "start of a module", "file", search(str(empty), names=["x"])
    yield "walk, no hits", "file", search(small, names=["^no-such-name$"])
    yield "walk, 10,000 hits", "file", search(small, names=["\\.conf$"])
    yield "content, small files", "file", search(small, contents=[NEEDLE])
    yield "content, large files", "file", search(large, contents=[NEEDLE])
    yield "sha256, large files", "file", search(large, names=["."], options={"returnsha256": True})
    yield "memory, 256 MiB", "memory", {"searches": {"s1": {"names": [target], "contents": ["no such text"],
                                                         "options": {"matchall": True}}}}  # fmt: skip
    yield "packages of all kinds", "pkg", {"pkgmatch": {"matches": ["^x$"]}, "types": ["all"]}


@contextmanager
def _target() -> Iterator[str]:
    """A process with 256 MiB of text; the path of its program, which no other process runs."""
    with tempfile.TemporaryDirectory(prefix="mig-target-") as folder:
        copy = Path(folder) / "target"
        copy.write_bytes(Path(sys.executable).resolve().read_bytes())
        copy.chmod(0o755)
        environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
        with subprocess.Popen([copy, "-c", TARGET], stdout=subprocess.PIPE, env=environment) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                yield f"^{copy}$"
            finally:
                process.kill()


if __name__ == "__main__":
    sys.exit(main())
