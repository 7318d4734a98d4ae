"""Programs that begin again in their own process: with new settings, certificates or passwords, and the same pid.

Nothing of what was read at start is exchanged in place, so nothing is forgotten. A program ends in good order, as on
SIGTERM, and takes its own place (execve(2)); a listening socket may be handed on, so that nobody is refused meanwhile.
It does so only when the new settings are usable: what cannot be read whole leaves the old in force, and the log says
why.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from mig_core.errors import MigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How often files are looked at; on SIGHUP at once."""

Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """What tells whether files, their owners or modes are others now; those that are missing too."""
    seen = []
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            seen.append((str(path), 0, 0))
            continue
        # A change of owner or mode changes the second.
        seen.append((str(path), found.st_ino, max(found.st_mtime_ns, found.st_ctime_ns)))
    return tuple(seen)


class WatchedFiles:
    """Notices changes, when they seem to be whole.

    Args:
        paths: gives what is watched now.
    """

    def __init__(self, paths: Callable[[], Iterable[Path]]) -> None:
        self._paths = paths
        self._seen = self._used = stamp_of(paths())

    def changed(self, *, at_once: bool, again: bool = False) -> bool:
        """Whether they are others than when this said so last, or at first; says it once.

        Args:
            at_once: somebody says that they are whole. Else they must have been the same for two looks: half a file
                of settings may be a whole one, with less in it.
            again: what was there when this said so last could not be used: it is said once more.
        """
        stamp = stamp_of(self._paths())
        settled = stamp == self._seen
        self._seen = stamp
        if (stamp == self._used and not again) or not (settled or at_once):
            return False
        self._used = stamp
        return True

    def again(self) -> None:
        """What is there now counts as seen."""
        self._seen = self._used = stamp_of(self._paths())


async def until_renewed(
    paths: Callable[[], Iterable[Path]], usable: Callable[[], object], hangup: asyncio.Event
) -> None:
    """Returns when the program is to begin again.

    Args:
        paths: gives the settings and the files that they name.
        usable: tries the new ones, in a thread.
        hangup: set on SIGHUP.
    """
    import asyncio

    watched, problem = WatchedFiles(paths), ""
    while True:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await hangup.wait()
        except TimeoutError:
            pass
        at_once = hangup.is_set()
        hangup.clear()
        # What could not be used is tried again: a file may have come since, or a database.
        if not watched.changed(at_once=at_once, again=bool(problem)):
            continue
        try:
            await asyncio.to_thread(usable)
        except (MigError, OSError) as error:
            if str(error) != problem:
                log.error(
                    "the new settings, or files that they name, are not used, those before stay in force: %s", error
                )
            problem = str(error)
            continue
        log.info("the settings, or files that they name, are others now: it ends in good order and begins again")
        return


def begin_again() -> NoReturn:
    """This program, with its arguments, in the place of itself. Call it when everything has ended."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until its handler is there again
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  as what it is
