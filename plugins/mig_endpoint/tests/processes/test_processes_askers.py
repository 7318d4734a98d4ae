"""Who handles a question."""

from __future__ import annotations

import os
import subprocess
import sys

from mig_endpoint.processes.askers import find_askers


def test_whoever_handles_the_question_is_known() -> None:
    askers = find_askers(list(range(1, 1 << 15)))

    assert askers.own == os.getpid()
    assert os.getppid() == 1 or os.getppid() in askers.others
    assert askers.own not in askers.others


def test_a_sibling_with_another_question_from_the_same_zygote_is_an_asker() -> None:
    program = (
        "import os, sys, time\n"
        "from mig_endpoint.processes.askers import find_askers\n"
        "children = []\n"
        "reading, writing = os.pipe()\n"
        "for number in range(2):\n"
        "    child = os.fork()\n"
        "    if child == 0 and number == 0: os.read(reading, 1); os._exit(0)\n"
        "    if child == 0:\n"
        "        print(children[0] in find_askers(children).others, flush=True)\n"
        "        os._exit(0)\n"
        "    children.append(child)\n"
        "os.waitpid(children[1], 0)\n"
        "os.write(writing, b'x')\n"
        "os.waitpid(children[0], 0)\n"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed == "True\n"
