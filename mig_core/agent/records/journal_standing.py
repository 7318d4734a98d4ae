"""``mig-agent journal``: how the record of what was run here stands, and what its owner says of a loss."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from mig_core.agent.records.journal import go_on_file
from mig_core.agent.records.sealed_lines import read_sealed
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def show_journal(path: Path, *, out: TextIO) -> bool:
    """Prints how the journal stands; returns whether all is well. Changes nothing.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        found = read_sealed(path.read_bytes())
    except FileNotFoundError:
        out.write(f"{path}: there is none\n")
        return True
    except OSError as error:
        raise ConfigurationError(str(path), "", f"cannot be read: {error.strerror}") from error
    out.writelines(f"{path}: {fault}\n" for fault in found.faults)
    doubts = [line["doubt"] for line in found.whole if line.get("step") == "journal" and line.get("doubt")]
    if doubts and not any(line.get("step") == "go-on" for line in found.whole):
        out.write(f"lost at {doubts[-1]}: actions whose window began before that are refused\n")
        return False
    out.write(f"{len({line['command'] for line in found.whole if 'command' in line})} commands are remembered\n")
    return not found.faults


def tell_to_go_on(path: Path, *, out: TextIO) -> None:
    """Lets the agent, running or not, go on without the record that was lost.

    Raises:
        ConfigurationError: it cannot be told.
    """
    file = go_on_file(path)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise ConfigurationError(str(file), "", f"cannot be made: {error.strerror}") from error
    out.write("the agent goes on with its next command, or at its next heartbeat\n")
