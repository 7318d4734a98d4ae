"""Alerts that only the agent has: their source was killed, and the sink has not accepted them.

They are written down when the source dies, and forgotten when the sink has them; so the agent may be killed, too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.durable import remove_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

_SUFFIX = ".alerts"


class HeldAlerts:
    """A folder with one file for each module that left some; made when there is a first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, module: str, alerts: Iterable[bytes]) -> None:
        """Replaces what is kept of a module."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._folder / (module + _SUFFIX), b"".join(raw + b"\n" for raw in alerts))
        except OSError as error:
            log.error("alerts of the module %s are in memory only until the sink takes them: %s", module, error)

    def forget(self, module: str) -> None:
        """Nothing of the module is kept any more."""
        remove_file(self._folder / (module + _SUFFIX))

    def load(self) -> list[tuple[str, list[bytes]]]:
        """What an earlier agent kept, by module."""
        kept = []
        for path in sorted(self._folder.glob("*" + _SUFFIX)):
            try:
                kept.append((path.name.removesuffix(_SUFFIX), path.read_bytes().split(b"\n")))
            except OSError as error:
                log.error("kept alerts cannot be read: %s", error)
        return kept
