"""Runs a module for somebody who waits for this very program: ``mig -t local``, ``mig-agent -m``.

What the server of a file system in user space (FUSE) has taken and does not answer is waited for whatever signals come
(``request_wait_answer`` in fs/fuse/dev.c, Linux 6.18), and a process has not ended before all of its threads have. So
where there is such a file system a child does the work, and is left behind if it does not end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

from mig_core.domain.document import dump
from mig_core.domain.result import Coverage, ModuleResult, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVED = re.compile(rb" - (?:fuse(?:blk|\.\S*)?|virtiofs) ")
_PR_SET_PDEATHSIG = 1


def run_apart(work: Callable[[], ModuleResult]) -> ModuleResult:
    """What ``work`` returns; made in a child, whose output goes nowhere, where it could be waited for without end."""
    return _in_a_child(work) if _may_hang() else work()


def _may_hang() -> bool:
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            return _SERVED.search(mounts.read()) is not None
    except OSError:
        return False


def _in_a_child(work: Callable[[], ModuleResult]) -> ModuleResult:
    reading, writing = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no thread of this program holds a lock now
        child = os.fork()
    if child == 0:
        _serve(work, writing, parent)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            raw = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    if not raw:
        _, status = os.waitpid(child, 0)  # it has closed all that it had
        return ModuleResult.failure(f"the module's process ended with status {os.waitstatus_to_exitcode(status)}")
    os.waitpid(child, os.WNOHANG)
    return _read(json.loads(raw))


def _read(written: dict[str, Any]) -> ModuleResult:
    """The result that was written so, whatever its size: it is our own child's."""
    coverage = written["coverage"]
    skipped = tuple(Skipped(one["reason"], one["count"], tuple(one["examples"])) for one in coverage["skipped"])
    return ModuleResult(
        written["foundanything"],
        written["success"],
        written["elements"],
        written["statistics"],
        tuple(written["errors"] or ()),
        Coverage(coverage["complete"], coverage["examined"], skipped),
    )


def _serve(work: Callable[[], ModuleResult], writing: int, parent: int) -> None:
    """The child's life; never returns. A thread that hangs keeps open what is: nothing of the caller's may be."""
    status = 1
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            return
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        result = work()
        try:
            raw = dump(result.to_json())
        except (TypeError, ValueError, RecursionError) as error:
            raw = dump(ModuleResult.failure(f"the module's result is not JSON: {error}").to_json())
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(raw)
        status = 0
    finally:
        os._exit(status)
