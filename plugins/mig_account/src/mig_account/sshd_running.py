"""Where sshd's configuration is: the usual place, and others that a running or a set-up sshd is told (``-f``)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_account.ground import TOO_LARGE, text_of
from mig_account.sshd_lines import PATHS
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground

OPTIONS_FILES = ("/etc/default/ssh", "/etc/sysconfig/sshd")
"""Where Debian and Red Hat keep options for sshd's unit."""
ON_COMMAND_LINE = Reason("settings of sshd on its command line, not looked at")
_FILE = re.compile(r"(?:^|[\s\0\"'=])-f[\s\0]*([^\s\0\"']{1,4096})")
_SETTING = re.compile(r"(?:^|[\s\0\"'=])-o[\s\0]*([^\s\0\"']{1,200})")
MAX_COMMAND = 1 << 16


def configurations(ground: Ground) -> list[str]:
    """The files of configuration, the usual one first."""
    usual = next((one for one in PATHS if ground.status_or_none(one) is not None), "")
    found = dict.fromkeys([usual] if usual else [])
    for where, text in _commands(ground):
        for path in _FILE.findall(text):
            if path.startswith("/"):
                found[path] = None
        for setting in _SETTING.findall(text):
            ground.tally.skip(ON_COMMAND_LINE, f"{where}: {setting}")
    return list(found)


def _commands(ground: Ground) -> Iterator[tuple[str, str]]:
    """Command lines of sshd that run here, and options it is started with."""
    for path in OPTIONS_FILES:
        for _, raw in ground.lines(path, MAX_COMMAND):
            text = text_of(raw)
            if not text.lstrip().startswith("#"):
                yield path, text
    if not ground.tree.is_own:
        return
    for name in os.listdir("/proc"):
        if name.isdigit() and _read(f"/proc/{name}/comm").rstrip("\n") == "sshd":
            command = _read(f"/proc/{name}/cmdline")
            if len(command) > MAX_COMMAND:
                ground.tally.skip(TOO_LARGE, f"command line of process {name}")
            if ("[listener]" in command or command.startswith("/")) and _has_our_files(name):
                yield f"process {name}", command


def _has_our_files(pid: str) -> bool:
    """Whether paths of a process are ours: those of containers have a root of their own."""
    try:
        theirs, ours = os.stat(f"/proc/{pid}/root"), os.stat("/")
    except OSError:
        return True
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return text_of(file.read(MAX_COMMAND + 1))
    except OSError:
        return ""
