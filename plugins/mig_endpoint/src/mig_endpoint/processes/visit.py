"""One walk over the processes for any number of consumers; who could not be looked at is booked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_endpoint.processes import reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process


def visit(proc: Proc, pid: int, tally: Tally, *consumers: Callable[[Process], object], lightly: bool = False) -> None:
    """Hands one process to the consumers, in turn; ``lightly`` is that of :class:`Process`.

    A process that has ended is no trouble. One that may not be read, that a mount hides, or about which the kernel
    tells nothing, is booked, and so is a consumer's own OSError.
    """
    example = f"process {pid}"
    if proc.is_hidden(pid):
        tally.skip(reasons.COVERED, example)
        return
    try:
        with proc.process(pid, lightly=lightly) as process:
            for consumer in consumers:
                consumer(process)
    except (FileNotFoundError, ProcessLookupError):
        pass  # processes come and go
    except PermissionError:
        tally.failed(proc.denied, example, "permission denied")
    except OSError as error:
        tally.failed(reasons.TROUBLE, example, os.strerror(error.errno or 0))


def visit_all(proc: Proc, tally: Tally, *consumers: Callable[[Process], object]) -> None:
    """Hands every process to the consumers, by id::

    with Proc(tally) as proc:
        visit_all(proc, tally, sockets.collect, programs.collect)
    """
    for pid in proc.ids():
        visit(proc, pid, tally, *consumers)
