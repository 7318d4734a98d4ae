"""What an operation's process keeps in memory when it makes a large answer after a partial one."""

from __future__ import annotations

import subprocess
import sys

_RUN = """
import io, re
from mig_core.agent.operations import confinement
{first}
partial = b"x" * (12 << 20)
del partial
kept = [b"y" * 1000 for _ in range(1000)]
answer = io.BytesIO()
for _ in range(640):
    answer.write(b"z" * (32 << 10))
print(re.search("VmHWM:\\\\s+(\\\\d+)", open("/proc/self/status").read())[1])
"""


def peak(first: str) -> int:
    """KiB, at most."""
    done = subprocess.run([sys.executable, "-c", _RUN.format(first=first)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_an_answer_after_a_partial_one_grows_in_place() -> None:
    assert (
        peak("confinement.give_large_blocks_back()") < (20 << 10) + 24_000
    )  # the answer, room to grow in, the interpreter
