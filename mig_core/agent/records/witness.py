"""What the ledger knows of what was run here: the second witness beside the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.agent.records.ledger import NEVER
from mig_core.agent.records.ledger_file import CARRIED, read_ledger
from mig_core.domain.ids import ActionId, CommandId
from mig_core.domain.times import parse_time
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from mig_core.domain.document import JSON

ASKED = "asked"
ANSWERED = "answered"
CANCEL = "cancel"


@dataclass(slots=True)
class Begun:
    """A command that was begun."""

    action: ActionId
    begin: datetime
    until: datetime
    digest: str
    finished: bool = False


@dataclass(slots=True)
class Witness:
    """What a ledger says."""

    begun: dict[CommandId, Begun] = field(default_factory=dict)
    cancelled: dict[ActionId, datetime] = field(default_factory=dict)
    """Action -> until when its cancel is remembered."""
    lines: int = 0
    last: int = 0
    """The number of its last line."""
    silent_until: datetime = NEVER
    """Of actions whose windows ended before this it may know nothing: their segments are gone."""
    fault: str = ""
    """Why it is no witness for what was after its last good line."""


def hear(path: Path, *, newest: int = 0) -> Witness:
    """Reads the ledger (or only its newest segments) as far as its chain is whole."""
    witness = Witness()
    try:
        for entry in read_ledger(path, newest=newest):
            witness.lines, witness.last = witness.lines + 1, int(str(entry["n"]))
            _take(entry, witness)
    except FileNotFoundError:
        pass
    except (InvalidDocument, OSError) as error:
        witness.fault = str(error)
    return witness


def _take(entry: Mapping[str, JSON], witness: Witness) -> None:
    try:
        event = entry["event"]
        if event == CARRIED and witness.lines == 1:
            witness.silent_until = parse_time(entry["until"])
        elif event == ASKED:
            command = CommandId(str(entry["command"]))
            witness.begun.setdefault(
                command,
                Begun(
                    ActionId(str(entry["action"])),
                    parse_time(entry["from"]),
                    parse_time(entry["until"]),
                    str(entry["payload"]),
                ),
            )
        elif event == ANSWERED:
            begun = witness.begun.get(CommandId(str(entry["command"])))
            if begun is not None:
                begun.finished = True
        elif event == CANCEL:
            witness.cancelled[ActionId(str(entry["action"]))] = parse_time(entry["until"])
    except (KeyError, ValueError) as error:
        witness.fault = witness.fault or f"line {entry['n']} is of another release: {error}"
