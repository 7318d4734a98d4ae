"""The reasons that looking at an endpoint gives, and the way from an operating system error to one of them.

Every room books into the run's :class:`mig_core.plugin.coverage.Tally`, and with these where they fit: whoever reads
answers of several modules, or counts over a fleet, meets one text for one thing. A reason of one module only lives
there. What ``as_asked`` means is said at :class:`mig_core.plugin.coverage.Reason`.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally

NOT_FOUND = Reason("no such file or directory", as_asked=True)
"""A path that the question names is not there."""
NOTHING_FITS = Reason("path that nothing fits", as_asked=True)
"""A path with wildcards or ``~`` stands for nothing that is there."""
TOO_MANY_PATHS = Reason("path that more fits than is looked at")
DANGLING = Reason("link that leads nowhere", as_asked=True)
DIRECTORY_LINK = Reason("link to a directory", as_asked=True)
"""A walk does not go through links; what they lead to is looked at only where a path names it."""
SPECIAL = Reason("not a regular file", as_asked=True)
"""A FIFO, socket or device, or a link to one, where files are looked for."""
DENIED = Reason("permission denied")
READ_ERROR = Reason("read error")
WOULD_BLOCK = Reason("reading it would wait")
CHANGED = Reason("changed while being looked at")
TOO_DEEP = Reason("too deep to get at")
"""Out of descriptors, or a name longer than the kernel takes."""
ENDLESS = Reason("endless pseudo-file")
DAMAGED = Reason("damaged compressed data")
TOO_LARGE = Reason("compressed data expands too far")
NEEDS_MEMORY = Reason("compressed data needs too much memory")
NO_DECOMPRESSOR = Reason("compression not supported here")
OTHER_FILE_SYSTEM = Reason("other file system", as_asked=True)
NETWORK = Reason("network file system", as_asked=True)
UNKNOWN_FILE_SYSTEM = Reason("file system that may be of the network")
"""Left out because only local ones were asked for, and this one does not tell what it is."""
UNRESPONSIVE = Reason("file system that does not answer")
AUTOMOUNT = Reason("automount point that nobody uses")
"""Looking would mount something."""
TIME = Reason("time ran out")
FULL = Reason("answer full")
LIMIT = Reason("match limit reached")

_REASONS = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: CHANGED,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.ELOOP: CHANGED,
    errno.EAGAIN: WOULD_BLOCK,
    errno.ENXIO: WOULD_BLOCK,
    errno.EMFILE: TOO_DEEP,
    errno.ENFILE: TOO_DEEP,
    errno.ENAMETOOLONG: TOO_DEEP,
    errno.ETIMEDOUT: UNRESPONSIVE,
}


def reason_of(failure: OSError) -> Reason:
    """The reason to book for an operating system error; :data:`READ_ERROR` for those that have none of their own."""
    return _REASONS.get(failure.errno or 0, READ_ERROR)


def problem_of(failure: OSError) -> str:
    """The error's text without its path, in lower case: ``permission denied``."""
    return os.strerror(failure.errno).lower() if failure.errno else str(failure)


def failed(tally: Tally, subject: object, failure: OSError, reason: Reason | None = None) -> None:
    """Books an operating system error: why ``subject`` was not looked at, and the error for the investigator.

    Args:
        tally: where.
        subject: what could not be looked at; becomes a text by ``str()`` only if that is kept.
        failure: the error.
        reason: booked instead of the one that the error gives.
    """
    tally.failed(reason or reason_of(failure), subject, problem_of(failure))
