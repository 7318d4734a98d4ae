"""What an answer says about a process beside its name: whose it is, and whether it lives in a container.

Asked only about processes that are part of the answer.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_endpoint.processes.executable import Name
    from mig_endpoint.processes.process import Process

_SURROGATES = re.compile("[\udc80-\udcff]")


def describe(process: Process, name: Name) -> dict[str, JSON]:
    """The ``process`` object of a row: ``name`` and ``pid`` first, then what is known beyond them.

    ``user``: owner, by name where it has one. ``executable``: the path behind a ``[comm]`` name, and ``deleted`` if its
    file is gone. ``container``: runtime and the beginning of its id, a hint from its control group. ``mountnamespace``:
    number of its mount namespace, when it is not ours. Facts that cannot be found out are left out.
    """
    described: dict[str, JSON] = {"name": printable(name.shown), "pid": process.pid}
    if user := _user(process):
        described["user"] = user
    if name.shown.startswith("["):
        described["executable"] = printable(name.path)
    if name.deleted:
        described["deleted"] = True
    if container := _container(process):
        described["container"] = container
    if namespace := _other_mount_namespace(process):
        described["mountnamespace"] = namespace
    return described


def printable(native: str) -> str:
    """A path as text: one U+FFFD for each byte that is not part of valid UTF-8."""
    return _SURROGATES.sub("\ufffd", native)


def _user(process: Process) -> str:
    try:
        return process.user
    except OSError:
        return ""


def _container(process: Process) -> str:
    try:
        return process.container
    except OSError:
        return ""


def _other_mount_namespace(process: Process) -> int:
    try:
        number = process.namespace("mnt")
        ours = os.readlink("/proc/self/ns/mnt")
    except OSError:
        return 0
    return number if ours != f"mnt:[{number}]" else 0
