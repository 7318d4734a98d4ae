"""Runs a module for somebody who waits for this very program: ``mig -t local``, ``mig-agent -m``.

What the server of a file system in user space (FUSE) has taken and does not answer is waited for whatever signals come
(``request_wait_answer`` in fs/fuse/dev.c, Linux 6.18), and a process has not ended before all of its threads have. So
where there is such a file system, or one of the network, a child does the work, and is left behind if it does not end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.result import Coverage, ModuleResult, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    HandOver = Callable[[ModuleResult], None]

_SERVED = re.compile(rb" - (?:fuse(?:blk|\.\S*)?|virtiofs|9p|afs|ceph|cifs|nfs4?|smb3) ")
_PR_SET_PDEATHSIG = 1
_PARTIAL, _FINAL = b"P", b"F"
GRACE = 2.0
"""Seconds from the deadline until nobody waits any more."""


def run_apart(work: Callable[[HandOver | None], ModuleResult], deadline: float) -> ModuleResult:
    """What ``work`` returns; made in a child, whose output goes nowhere, where it could be waited for without end.

    Args:
        work: takes what to call with what was found so far, if anybody wants it.
        deadline: its own, on the monotonic clock. Soon after, the child is given up, and what it handed over is kept.
    """
    return _in_a_child(work, deadline) if _may_hang() else work(None)


def _may_hang() -> bool:
    """Whether somebody is served so: this process, or one in another mount namespace, whose files are as near as
    ``/proc/PID/root``.
    """
    seen = set()
    for process in ("self", *filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ())):
        with contextlib.suppress(OSError):  # it has ended, or may not be looked at, and so neither may its files
            namespace = os.readlink(f"/proc/{process}/ns/mnt")
            if namespace not in seen:
                with open(f"/proc/{process}/mountinfo", "rb") as mounts:
                    if _SERVED.search(mounts.read()):
                        return True
                seen.add(namespace)
    return False


def _in_a_child(work: Callable[[HandOver | None], ModuleResult], deadline: float) -> ModuleResult:
    import warnings  # here, as others below: seldom needed, and this is imported where programs start often

    reading, writing = _pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no thread of this program holds a lock now
        child = os.fork()
    if child == 0:
        _serve(work, writing, parent)
    os.close(writing)
    try:
        written, late = _written(reading, deadline + GRACE)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # it has said all it will say; it is our child, so the number is still its own
    if written[:1] == _FINAL:
        return _read(written)
    if late:
        problem = "its time ran out and it did not stop by itself"
    else:
        _, status = os.waitpid(child, 0)  # it has closed all that it had
        problem = f"the module's process ended with status {os.waitstatus_to_exitcode(status)}"
    if not written:
        return ModuleResult.failure(problem)
    kept = _read(written)
    coverage = Coverage(False, kept.coverage.examined, kept.coverage.skipped)
    return ModuleResult(kept.found, kept.success, kept.elements, kept.statistics, (*kept.errors, problem), coverage)


def _pipe() -> tuple[int, int]:
    """Both ends, neither in the place of a standard stream that is closed."""
    import fcntl

    ends = os.pipe()
    reading, writing = (fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 3) for one in ends)
    for one in ends:
        os.close(one)
    return reading, writing


def _written(reading: int, until: float) -> tuple[bytes, bool]:
    """The last document that the child has written as a whole, and whether nobody waits for more."""
    import select

    poll = select.poll()
    poll.register(reading, select.POLLIN)
    last, rest = b"", bytearray()
    while poll.poll(max(0.0, until - time.monotonic()) * 1000):
        some = os.read(reading, 1 << 20)
        if not some:
            return last, False
        rest += some
        if b"\n" in some:
            *whole, tail = rest.split(b"\n")
            last, rest = bytes(whole[-1]), bytearray(tail)
    return last, True


def _read(document: bytes) -> ModuleResult:
    """The result that was written so, whatever its size: it is our own child's."""
    written = json.loads(document[1:])
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


def _serve(work: Callable[[HandOver | None], ModuleResult], writing: int, parent: int) -> None:
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
        for descriptor in {*map(int, os.listdir("/proc/self/fd"))} - {0, 1, 2, writing}:
            with contextlib.suppress(OSError):  # that by which they were listed
                os.close(descriptor)
        with os.fdopen(writing, "wb") as pipe:

            def write(result: ModuleResult, kind: bytes = _PARTIAL) -> None:
                try:
                    document = dump(result.to_json())
                except (TypeError, ValueError, RecursionError) as error:
                    document = dump(ModuleResult.failure(f"the module's result is not JSON: {error}").to_json())
                pipe.write(kind + document + b"\n")
                pipe.flush()

            write(work(write), _FINAL)
        status = 0
    finally:
        os._exit(status)
