"""The machine that a state directory belongs to: beside the agent's key it says where the key was made.

A copied disk brings the key along, and then two machines answer under one name. The machine is known by its
machine-id(5), which cloning tools and cloud images renew; a clone that has even that in common is found by the
platform, which sees two processes speak for one agent. The id itself stays secret, as its manual page asks: what is
kept is a keyed digest. The boot id (another at each start of the machine) stands beside it, for people to compare.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.durable import replace_file, sync_directory
from mig_core.errors import ConfigurationError
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from datetime import datetime

FILE = "machine.json"
IMAGE = "image.json"
STOP, ENROL, IGNORE = "stop", "enrol", "ignore"
"""What to do with a state directory of another machine: ``copied_state`` in the settings."""
_LOCK = "lock"
_PLACES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")
_USE = b"mig-agent: the machine that this state directory belongs to"
_TOLD = b"mig-agent: the machine that the platform is told of"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and its present run. ``digest`` is empty where the system does not say."""

    digest: str
    boot: str


def this_machine(places: tuple[Path, ...] = _PLACES, boot: Path = _BOOT) -> Machine:
    """The one that this runs on."""
    for place in places:
        identifier = _read(place)
        if _IDENTIFIER.fullmatch(identifier):
            return Machine(hmac.new(identifier.encode("ascii"), _USE, hashlib.sha256).hexdigest(), _read(boot))
    return Machine("", _read(boot))


def told_machine(places: tuple[Path, ...] = _PLACES) -> str:
    """What the platform is told, so that people see which agents came one after the other on a machine.

    Another keyed digest than the one kept here; empty where the system does not say. It proves nothing.
    """
    for place in places:
        identifier = _read(place)
        if _IDENTIFIER.fullmatch(identifier):
            return hmac.new(identifier.encode("ascii"), _TOLD, hashlib.sha256).hexdigest()[:32]
    return ""


def is_copied(state: Path, machine: Machine) -> bool:
    """Whether a state directory says that it belongs to another machine than this one."""
    saved = _load(state / FILE)
    return bool(saved and machine.digest and saved != machine.digest)


def mark_image(state: Path, machine: Machine) -> None:
    """Keeps agents from running here until the machine has another id, or was booted again.

    Raises:
        OSError: it cannot be written.
    """
    content = {"machine": machine.digest, "boot": machine.boot}
    replace_file(state / IMAGE, json.dumps(content).encode("ascii") + b"\n")


def leave_image(state: Path, machine: Machine) -> None:
    """Returns when this is no image that is being built; the mark of one that this machine was made from is taken away.

    Raises:
        ConfigurationError: it is one.
    """
    path = state / IMAGE
    try:
        saved = json.loads(path.read_bytes()[:4096])
        same = saved["machine"] == machine.digest and saved["boot"] == machine.boot
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        same = True
    if same:
        raise ConfigurationError(
            str(path),
            "",
            "this is an image that is being built: mig-agent prepare-image was run here",
            next_step="it starts on machines made from the image, and after the next boot; or remove the file",
        )
    path.unlink(missing_ok=True)


def settle(state: Path, machine: Machine, *, policy: str, now: datetime) -> str:
    """Sees to it that the state directory is this machine's; returns what was done that its owner should know.

    A directory that does not say becomes this machine's: it is new, or of an earlier release.

    Args:
        state: the locked state directory.
        machine: this one.
        policy: what to do with another machine's: ``stop``, ``enrol`` or ``ignore``.
        now: the time.

    Raises:
        ConfigurationError: it is another machine's, and the policy is to stop; or it cannot be used.
    """
    path = state / FILE
    saved = _load(path)
    done = ""
    if policy != IGNORE and is_copied(state, machine):
        if policy == STOP:
            raise ConfigurationError(
                str(state),
                "",
                "belongs to another machine: this one's disk, or this directory, is a copy",
                next_step=f'set copied_state = "enrol"; or, if only its machine-id is new, remove {path}',
            )
        done, saved = _put_aside(state), ""
    content = {"machine": machine.digest or saved, "boot": machine.boot, "time": format_time(now)}
    try:
        replace_file(path, json.dumps(content).encode("ascii") + b"\n")
    except OSError as error:
        if not saved:
            raise ConfigurationError(str(path), "", f"cannot be written: {error.strerror}") from error
    return done


def _put_aside(state: Path) -> str:
    """Moves everything of the other machine's agent, its key first, into a folder; this machine begins anew."""
    try:
        old = AgentKey.load_or_create(state / "agent.key").agent_id
        folder = state / f"from-{old}"
        folder.mkdir(mode=0o700, exist_ok=True)
        names = sorted(name for name in os.listdir(state) if name != _LOCK and not name.startswith("from-"))
        for name in sorted(names, key=lambda name: name != "agent.key"):
            os.rename(state / name, folder / name)
        sync_directory(folder)
        sync_directory(state)
    except OSError as error:
        raise ConfigurationError(str(state), "", f"cannot be put aside: {error}") from error
    return f"the state directory was another machine's, agent {old}; it is put aside in {folder}, and this agent is new"


def _load(path: Path) -> str:
    """The digest in the file; empty: there is none."""
    try:
        saved = json.loads(path.read_bytes()[:4096])["machine"]
        return saved if isinstance(saved, str) else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except OSError:
        return ""
