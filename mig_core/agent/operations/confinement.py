"""What a module's process may use: session, priorities, memory, and that it dies with whoever started it.

Linux: setsid(2), prctl(2) PR_SET_PDEATHSIG, setrlimit(2), ioprio_set(2), proc(5) oom_score_adj. Called in the process
itself, between fork and the module.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_BEST_EFFORT_LOWEST = 2 << 13 | 7
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282, "riscv64": 30}
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_OOM_SCORE = b"500"
"""When the machine runs out of memory, a module goes before the services it looks at."""

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> bool:
    """Makes processes whose parents die children of this one; False where the kernel does not list children."""
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        return False
    return bool(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def give_large_blocks_back() -> None:
    """Has the C library keep blocks of more than 2 MiB apart for good: they grow in place and go back when freed.

    By itself glibc (mallopt(3)) moves that limit up to 32 MiB once so large a block was freed: after a partial result
    the next, larger one was put together in the heap, with up to its own size more beside it. Others need no word.
    """
    with contextlib.suppress(AttributeError):
        _libc.mallopt(_M_MMAP_THRESHOLD, 2 << 20)
        _libc.mallopt(_M_TRIM_THRESHOLD, 4 << 20)


def children() -> list[int]:
    """The ids of this process's children, living or dead but not waited for; empty when the kernel does not say."""
    found: list[int] = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with (
                contextlib.suppress(FileNotFoundError, ProcessLookupError),
                open(f"/proc/self/task/{thread}/children", "rb") as file,
            ):
                found += [int(word) for word in file.read().split()]
    except OSError:
        return []
    return found


def die_with_parent(number: int) -> None:
    """The kernel sends this process the signal when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def leave_parent(parent: int) -> None:
    """A session of its own, nothing on standard input and output, and death with the parent."""
    os.setsid()
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def confine(*, memory_bytes: int, niceness: int, cpu_seconds: int) -> None:
    """Limits for everything that follows in this process and its children; none of them can be raised again.

    Args:
        memory_bytes: private writable memory (RLIMIT_DATA), for each process.
        niceness: added to the present one.
        cpu_seconds: processor time, for each process.
    """
    limit_memory(memory_bytes)
    limit_processor(cpu_seconds)
    os.nice(niceness)
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_BEST_EFFORT_LOWEST)
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, _OOM_SCORE)
        finally:
            os.close(descriptor)


def limit_memory(memory_bytes: int) -> None:
    """A limit on private writable memory (RLIMIT_DATA), for each process from here on; and no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_DATA, memory_bytes)


def limit_processor(cpu_seconds: int) -> None:
    """A limit on processor time, for each process from here on; a narrower one than before, or it changes nothing."""
    _limit(resource.RLIMIT_CPU, cpu_seconds)


def _limit(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (most, most))
