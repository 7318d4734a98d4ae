"""Whoever is new since the last round is looked at in the next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mig_endpoint.processes import reasons
from mig_endpoint.processes.rounds import MOST, Rounds
from mig_endpoint.processes.visit import visit

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.testing.targets import StartTarget, Target


def addresses(target: Target) -> list[bytes]:
    return Path(f"/proc/{target.pid}/stat").read_bytes().split()[25:28]


def become(target: Target, program: str, *arguments: str) -> None:
    """Has a target become another program, and waits for it."""
    assert target.process.stdin is not None
    before = addresses(target)
    target.process.stdin.write(f"os.execv({program!r}, {[program, *arguments]!r})\n")
    target.process.stdin.flush()
    while addresses(target) == before:
        time.sleep(0.01)


def test_a_program_that_replaces_itself_comes_again_also_by_itself(
    start_target: StartTarget, proc: Proc, tally: Tally
) -> None:
    target, other = start_target("target"), start_target("other")
    rounds = Rounds(proc, tally)
    looked_at: list[list[int]] = []

    for number, ids in enumerate(rounds):
        looked_at.append([pid for pid in ids if pid in (target.pid, other.pid)])
        for pid in ids:
            visit(proc, pid, tally, rounds.note)
        if number == 0:
            become(target, target.path, "-S", "-s", "-c", "input()")

    assert looked_at[0] == [target.pid, other.pid]
    assert looked_at[1] == [target.pid]
    assert not any(looked_at[2:])


def test_who_is_faster_than_every_look_leaves_the_answer_incomplete(
    start_target: StartTarget, proc: Proc, tally: Tally
) -> None:
    target = start_target()
    program = "import os, sys\ninput()\nos.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])"
    become(target, target.path, "-S", "-s", "-c", program)
    rounds = Rounds(proc, tally)
    rounds_of_target = 0

    for ids in rounds:
        rounds_of_target += target.pid in ids
        for pid in ids:
            visit(proc, pid, tally, rounds.note)
        before = addresses(target)
        assert target.process.stdin is not None
        target.process.stdin.write("\n")
        target.process.stdin.flush()
        while addresses(target) == before:
            time.sleep(0.01)

    assert rounds_of_target == MOST
    assert tally.skipped(reasons.RESTLESS) == 1
    assert not tally.complete


def test_who_was_refused_or_left_out_is_not_tried_again(start_target: StartTarget, proc: Proc, tally: Tally) -> None:
    target = start_target()
    hidden = start_target("hidden")
    rounds = Rounds(proc, tally, frozenset({target.pid}))
    seen: list[int] = []
    proc._look_at_mounts = lambda: None  # type: ignore[method-assign]  # it would forget what is set here
    proc._covered = frozenset({hidden.pid})

    for ids in rounds:
        for pid in ids:
            seen.append(pid)
            visit(proc, pid, tally, rounds.note)

    assert target.pid not in seen
    assert seen.count(hidden.pid) == 1
    assert tally.skipped(reasons.COVERED) == 1
