"""``mig-agent -P MODULE``: the process of one persistent module, from its first message to its end.

Started by the agent's supervisor; standard input and output belong to the two of them. Whatever the module prints goes
to standard error, which the agent logs.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from mig_core.agent.operations.confinement import die_with_parent, limit_memory
from mig_core.agent.persistent.service import Channel, ChildService
from mig_core.domain.document import load
from mig_core.dumps import forbid_dumps
from mig_core.errors import MigError
from mig_core.plugin.persistent import MAX_LINE_BYTES, PersistentModule

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_OK = 0
EXIT_BROKEN = 1
_FINISH_SECONDS = 0.7
_LOCK_SECONDS = 8.0
"""Longer than a process of the same module may outlive an agent that was killed."""


def run_persistent(name: str) -> NoReturn:
    """Serves until the agent says stop or is gone; leaves the process."""
    # Left by os._exit: threads that a module has forgotten must not keep the process, nor its state folder's lock.
    status = EXIT_BROKEN
    forbid_dumps()
    try:
        channel, woken = _take_pipes()
        first, rest = _first_message(channel.reading)
        status = _serve(name, channel, woken, first, rest) if first is not None else EXIT_OK
    except BaseException:  # the outermost frame of the process
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


def _take_pipes() -> tuple[Channel, int]:
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout = sys.stderr
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM)
    return Channel(reading, writing), woken


def _first_message(reading: int) -> tuple[dict[str, Any] | None, bytes]:
    """The ``config`` message, and what came behind it; None when there is nobody to send one."""
    raw = b""
    while b"\n" not in raw:
        chunk = os.read(reading, 1 << 18)
        if not chunk or len(raw) > 2 * MAX_LINE_BYTES:
            return None, b""
        raw += chunk
    line, _, rest = raw.partition(b"\n")
    message = cast("dict[str, Any]", load(line, subject="config message", max_bytes=2 * MAX_LINE_BYTES))
    if message.get("class") != "config":
        raise MigError("the first message is not the configuration")
    return message, rest


def _serve(name: str, channel: Channel, woken: int, first: dict[str, Any], rest: bytes) -> int:
    state = Path(first["state"])
    service = ChildService(channel, first, state, woken)
    service.listen(rest)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_ToAgent(service.log)])
    log = logging.getLogger(__name__)
    limit_memory(first["memory_bytes"])
    try:
        module = _load(name)
        if not _locked(state / "lock", service.stopping.wait):
            raise MigError("another process of this module has not ended yet")
        restored = service.window.restore()
        if restored:
            log.info("%d alerts of the last process are sent first", restored)
        try:
            module.serve(service)
        finally:
            service.finish(_FINISH_SECONDS)
        if service.told_to_stop:
            return EXIT_OK
        log.error("it returned without being told to stop")
    except MigError as error:
        log.error("%s", error)
    except Exception as error:  # the module's own code may raise anything; the agent starts it again
        traceback.print_exc()
        log.error("%s: %s", type(error).__name__, error)
    return EXIT_BROKEN


def _load(name: str) -> PersistentModule[Any]:
    from mig_core.plugin.manager import load_module

    module = load_module(name)
    if not isinstance(module, PersistentModule):
        raise MigError(f"module {name!r} does not run persistently")
    return module


def _locked(path: Path, wait: Callable[[float], bool]) -> bool:
    """Keeps other processes of the module off its state; the lock goes with this process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > end or wait(0.05):
            return False


class _ToAgent(logging.Handler):
    """What is logged here, in the agent's log."""

    def __init__(self, send: Callable[[int, str], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(record.levelno, self.format(record))
        except Exception:  # as every handler: logging never breaks what it is about
            self.handleError(record)
