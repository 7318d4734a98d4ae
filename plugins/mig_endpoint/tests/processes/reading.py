"""Reads the memory of processes as a program of its own, with what privileges it was started with.

``reading.py PID…`` prints JSON for each: how many bytes were read, how many were left for which reason, how many could
not be read, and which of the texts in the environment's ``WANTED`` (hexadecimal, so that they are not in it) are there.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Tally
from mig_endpoint.processes.mappings import Range
from mig_endpoint.processes.memory import Holds, Memory
from mig_endpoint.processes.origins import Kind, Origins
from mig_endpoint.processes.pages import PAGE
from mig_endpoint.processes.proc import Proc

if TYPE_CHECKING:
    from mig_endpoint.processes.process import Process


def read_whole(process: Process, wanted: list[bytes], *, nofiles: bool) -> dict[str, object]:
    """Reads all there is."""
    memory = Memory(process, Origins(lambda: 8.0))
    room = memoryview(bytearray(1 << 20))
    left: Counter[str] = Counter()
    found = dict.fromkeys(wanted, False)
    devices = done = failed = 0
    for mapping in process.mappings:
        if memory.origin(mapping).kind is Kind.DEVICE:
            devices += 1
            continue
        for part in memory.parts(Range(mapping.start, mapping.end, mapping), nofiles=nofiles):
            if part.holds is Holds.LEFT:
                left[part.reason.text if part.reason else ""] += part.end - part.start
            position = part.start if part.holds is Holds.DATA else part.end
            while position < part.end:
                try:
                    count = memory.read(part, position, room)
                except OSError:
                    failed += memory.origin(mapping).kind is not Kind.KERNEL
                    position = (position // PAGE + 1) * PAGE
                    continue
                if not count:
                    break
                piece = bytes(room[:count])
                for text in wanted:
                    found[text] |= text in piece
                position += count
                done += count
    memory.close()
    texts = [text.decode() for text, there in found.items() if there]
    return {"read": done, "left": left, "failed": failed, "found": texts, "devices": devices}


def main() -> None:
    """Reads each process that is named."""
    wanted = [bytes.fromhex(one) for one in os.environ["WANTED"].split()]
    answers = []
    with Proc(Tally()) as proc:
        for pid in sys.argv[1:]:
            with proc.process(int(pid)) as process:
                answers.append(read_whole(process, wanted, nofiles="NOFILES" in os.environ))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
