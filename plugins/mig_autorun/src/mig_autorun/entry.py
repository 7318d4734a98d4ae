"""One thing that starts by itself, as a reader found it; ``module`` makes a row of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass, field

if TYPE_CHECKING:
    import os


@dataclass(slots=True)
class Entry:
    """What is defined where, and what it runs. None is what is not known, an empty text what is not there."""

    kind: str
    name: str
    path: str
    """The file that defines it."""
    status: os.stat_result | None = None
    """Of that file."""
    line: int = 0
    key: str = ""
    """The setting that names it: ``ExecStart``, ``RUN``, ``Post-Invoke``."""
    command: str = ""
    """As written."""
    program: str | None = ""
    """Path of what is run, as the system names it, perhaps not there; empty where nothing is to be resolved."""
    user: str | None = ""
    when: str = ""
    enabled: bool | None = True
    """Whether it is in force: would be run without anybody's asking for it."""
    state: str = ""
    """In a few words; of a unit what ``systemctl is-enabled`` says."""
    started_by: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """Other files that have a part in it: drop-ins, links."""
    origin: str = ""
    """The file that a generated definition was made from; it is the one that a package may own."""
    notes: list[str] = field(default_factory=list)
