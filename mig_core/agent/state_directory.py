"""The state directory: made, looked at, locked, and this machine's, before anything in it is used."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.agent.ownership import state_fault
from mig_core.agent.platform.machine import STOP, is_copied, leave_image, mark_image, settle, this_machine
from mig_core.errors import ConfigurationError
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.config.agent import AgentSettings

log = logging.getLogger(__name__)


def made_state(path: Path) -> None:
    """Makes the state directory (0700) if it is missing.

    Raises:
        ConfigurationError: it cannot be used, others may read it, or it is another account's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            str(path), "", f"the state directory cannot be used: {error.strerror}", next_step='set "state"; run as root'
        ) from error
    if fault := state_fault(path):
        raise ConfigurationError(str(path), "", fault, next_step="chmod 700 it, or set another")


def look_at_state(settings: AgentSettings) -> None:
    """Returns when an agent with these settings could use its state directory; makes it if it is missing.

    Raises:
        ConfigurationError: it cannot be used, or is a copy and ``copied_state`` says to stop.
    """
    made_state(settings.state)
    if not os.access(settings.state, os.W_OK | os.X_OK):
        raise ConfigurationError(str(settings.state), "", "the state directory cannot be written")
    if settings.copied_state == STOP and is_copied(settings.state, this_machine()):
        raise ConfigurationError(str(settings.state), "", "belongs to another machine")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(str(path), "", "another agent uses this state directory") from None
        yield
    finally:
        os.close(lock)


def prepare_image(settings: AgentSettings) -> str:
    """Empties the state directory, so that each machine made from an image has an agent of its own.

    Until the machine has another id or was booted again no agent starts here. Returns the id of the agent that was
    here, if it had enrolled: it is to be retired.

    Raises:
        ConfigurationError: the directory cannot be used, or an agent uses it.
    """
    path = settings.state
    made_state(path)
    enrolled = ""
    with _locked(path):
        try:
            if (path / "relay.token").exists():
                enrolled = AgentKey.load_or_create(path / "agent.key").agent_id
            for one in sorted(path.iterdir()):
                if one.is_dir() and not one.is_symlink():
                    shutil.rmtree(one)
                elif one.name != "lock":
                    one.unlink()
            mark_image(path, this_machine())
        except OSError as error:
            raise ConfigurationError(str(path), "", f"cannot be emptied: {error}") from error
    return enrolled


@contextlib.contextmanager
def opened_state(settings: AgentSettings) -> Iterator[None]:
    """Makes the state directory if it is missing, keeps other agents out, and sees to it that it is this machine's.

    Raises:
        ConfigurationError: it cannot be used, others may read it, it is another account's or another machine's, or
            another agent uses it.
    """
    path = settings.state
    made_state(path)
    with _locked(path):
        machine = this_machine()
        leave_image(path, machine)
        done = settle(path, machine, policy=settings.copied_state, now=datetime.now(UTC))
        if done:
            log.warning("%s", done)
        yield
