"""What an answer says about a process beside its name: whose it is, and whether it lives in a container.

The only file that imports psutil. Asked only about processes that are part of the answer.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_memory.processes import Name, Process

_ID = re.compile(rb"(?:^|[/:_-])([0-9a-f]{64}|[0-9a-f]{32})(?:\.scope|/|$)", re.MULTILINE)
_RUNTIMES = (b"docker", b"libpod", b"crio", b"containerd", b"kubepods", b"machine", b"lxc")
_NAMED = re.compile(rb"/(lxc(?:\.payload)?)[/.]([\w.-]+)|/(machine)-([\w.\\-]+)\.scope", re.ASCII)
_NAMESPACE = re.compile(r"mnt:\[(\d+)\]")
_SHOWN = 12
_SURROGATES = re.compile("[\udc80-\udcff]")


def describe(process: Process, name: Name) -> dict[str, JSON]:
    """The ``process`` object of a row: ``name`` and ``pid`` first, then what is known beyond them.

    ``user``: owner, by name where it has one. ``executable``: the path behind a ``[comm]`` name, and ``deleted`` if its
    file is gone. ``container``: runtime and the beginning of its id, a hint from its control group. ``mountnamespace``:
    number of its mount namespace, when it is not ours. Facts that cannot be found out are left out.
    """
    described: dict[str, JSON] = {"name": printable(name.shown), "pid": process.pid}
    if user := _user(process.pid):
        described["user"] = user
    if name.shown.startswith("["):
        described["executable"] = printable(name.path)
    if name.deleted:
        described["deleted"] = True
    if container := container_of(_read(process, "cgroup")):
        described["container"] = container
    if namespace := _other_mount_namespace(process):
        described["mountnamespace"] = namespace
    return described


def printable(native: str) -> str:
    """A path as text: one U+FFFD for each byte that is not part of valid UTF-8."""
    return _SURROGATES.sub("\ufffd", native)


def container_of(cgroup: bytes) -> str:
    """A container's runtime and id, from a process's ``/proc/PID/cgroup``; empty when nothing looks like one."""
    for line in cgroup.splitlines():
        path = line.split(b":", 2)[-1]
        if named := _NAMED.search(path):
            kind, label = (part for part in named.groups() if part is not None)
            return f"{kind.partition(b'.')[0].decode()}:{label.decode('ascii', 'replace')[:64]}"
        if found := _ID.search(path):
            runtime = next((one for one in _RUNTIMES if one in path), b"")
            if runtime or len(found.group(1)) == 64:
                return f"{(runtime or b'container').decode()}:{found.group(1)[:_SHOWN].decode()}"
    return ""


def _user(pid: int) -> str:
    import psutil

    try:
        return str(psutil.Process(pid).username())
    except psutil.Error:
        return ""


def _other_mount_namespace(process: Process) -> int:
    try:
        theirs = os.readlink("ns/mnt", dir_fd=process.folder)
        ours = os.readlink("/proc/self/ns/mnt")
    except OSError:
        return 0
    found = _NAMESPACE.fullmatch(theirs)
    return int(found.group(1)) if found and theirs != ours else 0


def _read(process: Process, name: str) -> bytes:
    try:
        return process.read(name)
    except OSError:
        return b""
