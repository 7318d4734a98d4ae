"""Who else could write what this agent believes: settings, keys, ACL, and the folders on the way to them.

As sshd looks at authorized_keys: a file that another account owns or may write, or that lies in a folder where another
account may put its own in its place, is as good as written by that account. The group's bits stand for POSIX access
lists too (acl(5): they are the mask of what any named user or group can have).
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from mig_core.config.agent import AgentSettings, TrustSettings

log = logging.getLogger(__name__)

_OTHERS_WRITE = 0o022
_OTHERS_READ = 0o044


@dataclass(frozen=True, slots=True)
class Fault:
    """A file or folder that somebody else could write or read."""

    path: Path
    problem: str
    fatal: bool = True
    """Whether it keeps the agent from starting; a secret that others may read does not."""


def check_ownership(settings: AgentSettings, file: Path | None) -> None:
    """Returns when nobody but the owners can write what the agent believes; logs which secrets others may read.

    Args:
        settings: name the files.
        file: the settings' own; None: there is none.

    Raises:
        ConfigurationError: names the first file that somebody else can write.
    """
    for fault in faults(settings, file):
        if fault.fatal:
            raise ConfigurationError(
                str(fault.path), "", fault.problem, next_step="mig-agent --check names all such files"
            )
        log.warning("%s: %s", fault.path, fault.problem)


def faults(settings: AgentSettings, file: Path | None) -> Iterator[Fault]:
    """Every file (or folder) that somebody else could write or read; missing ones are left to who needs them.

    Raises:
        ConfigurationError: an account in ``trust.owners`` is not known here.
    """
    owners = owners_of(settings.trust)
    believed = [file, settings.trust.acl, settings.trust.keys, settings.platform.tls.ca_file, settings.state]
    believed.extend(_files_in(settings.trust.keys))
    for path in believed:
        if path is not None and (found := fault_of(path, owners)):
            yield Fault(*found)
    for secret in (settings.platform.tls.key_file, settings.platform.enrolment_secret_file):
        if secret is not None and _others_can_read(secret):
            yield Fault(secret, "others may read this secret; chmod 600 it", fatal=False)
    if problem := state_fault(settings.state):
        yield Fault(settings.state, problem)


def owners_of(trust: TrustSettings) -> frozenset[int]:
    """Accounts that may own what the agent believes.

    Raises:
        ConfigurationError: one is not known here.
    """
    return frozenset({0, os.geteuid(), *(_number_of(name) for name in trust.owners)})


def state_fault(path: Path) -> str:
    """What is wrong with a state directory; empty: nothing, or there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    if found.st_uid != os.geteuid():
        return f"the state directory belongs to {_name_of(found.st_uid)}, and not to the agent's account"
    return "others may read the state directory" if found.st_mode & 0o077 else ""


def fault_of(path: Path, owners: Collection[int]) -> tuple[Path, str] | None:
    """The first of a file and the folders that lead to it which somebody else could write; None: there is none."""
    if not path.exists():
        return None
    for way in dict.fromkeys((path.absolute(), path.resolve())):
        for place in (*reversed(way.parents), way):
            try:
                found = place.stat()
            except OSError:
                break
            if found.st_uid not in owners:
                return place, f"belongs to {_name_of(found.st_uid)}"
            # In a folder with the sticky bit everybody can only touch their own; and whose it is was looked at.
            sticky = stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX) and place != way
            if found.st_mode & _OTHERS_WRITE and not sticky:
                return place, "others may write it"
    return None


def _others_can_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS_READ)
    except OSError:
        return False


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _number_of(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigurationError("agent.toml", "trust.owners", f"there is no account {name} here") from None


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"account {number}"
