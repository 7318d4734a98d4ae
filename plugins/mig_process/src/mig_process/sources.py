"""Where the columns of a row come from: each source is one look at a process, and is asked when one of its columns is
wanted.

A source puts its columns into the row, or raises the OSError of the look.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.processes.stat import Status
from mig_endpoint.user_names import user_name
from mig_process.capabilities import names_of
from mig_process.disguise import looks_like_kernel
from mig_process.units import group_of, unit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.cells import Cell
    from mig_endpoint.processes.process import Process

    Ask = Callable[[Process, dict[str, Cell]], None]

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
OF_STATUS = (
    *("uid", "euid", "user", "effective_user", "gid", "capabilities", "seccomp", "no_new_privs", "tracer"),
    *("rss", "vsize"),
)
"""The columns of :func:`from_status`."""
_SECCOMP = {"0": "", "1": "strict", "2": "filter"}
_NO_LOGIN = b"4294967295"


class Source(NamedTuple):
    """A look at a process."""

    columns: tuple[str, ...]
    """Of those it puts into the row, the ones that are wanted."""
    ask: Ask


def from_status(status: Status, row: dict[str, Cell], *, last: int) -> None:
    """What ``status`` says.

    Args:
        status: of the process.
        row: gets the columns.
        last: the number of the last capability that the kernel has.
    """
    row.update(_identity(status.part("TracerPid", "FDSize")))
    row.update(_rights(status.part("CapEff", "Cpus_allowed"), last))
    for name, field in (("vsize", "VmSize"), ("rss", "VmRSS")):
        if size := status.get(field):
            row[name] = int(size.removesuffix(" kB")) << 10


@lru_cache(maxsize=1024)
def _identity(lines: bytes) -> dict[str, Cell]:
    status = Status(lines)
    real, effective = map(int, status.get("Uid").split()[:2])
    made: dict[str, Cell] = {
        "uid": real,
        "euid": effective,
        "user": user_name(real),
        "effective_user": user_name(effective),
        "gid": int(status.get("Gid", "0").split()[0]),
    }
    if tracer := int(status.get("TracerPid", "0")):
        made["tracer"] = tracer
    return made


@lru_cache(maxsize=1024)
def _rights(lines: bytes, last: int) -> dict[str, Cell]:
    status = Status(lines)
    return {
        "capabilities": names_of(status.get("CapEff", "0"), last),
        "seccomp": _SECCOMP.get(status.get("Seccomp", "0"), status.get("Seccomp", "")),
        "no_new_privs": status.get("NoNewPrivs") == "1",
    }


def from_login(process: Process, row: dict[str, Cell]) -> None:
    """The user id of the login it descends from (``loginuid``, kernel/audit.c): nothing if from none.

    Raises:
        FileNotFoundError: the kernel does not keep it.
    """
    text = process.read_at_once("loginuid").strip()
    if text and text != _NO_LOGIN:
        row["login_uid"] = int(text)


def from_cmdline(process: Process, row: dict[str, Cell]) -> None:
    """Its command line as it shows it now."""
    arguments = process.arguments
    row["cmdline"] = os.fsdecode(b" ".join(arguments))
    row["lookalike"] = looks_like_kernel(process.command, arguments)


def from_exe(process: Process, row: dict[str, Cell]) -> None:
    """The file it runs."""
    _, row["exe"], row["deleted"], row["memfd"] = process.executable


def from_cwd(process: Process, row: dict[str, Cell]) -> None:
    """Its working directory."""
    row["cwd"] = process.link("cwd")


def from_root(process: Process, row: dict[str, Cell]) -> None:
    """Its root directory."""
    row["root"] = process.link("root")


def from_cgroup(process: Process, row: dict[str, Cell]) -> None:
    """Its control group, and what that tells."""
    text = process.cgroup
    row["cgroup"] = group_of(text)
    row["unit"] = unit_of(text)
    row["container"] = process.container


def from_namespaces(process: Process, row: dict[str, Cell]) -> None:
    """Its namespaces."""
    row["namespaces"] = [process.link(f"ns/{kind}") for kind in NAMESPACES]


def terminal_of(number: int) -> str:
    """What a terminal with this device number is called: ``pts/2``, ``tty1``; empty for 0.

    Source: Documentation/admin-guide/devices.txt (majors 4 and 136 to 143).
    """
    if not number:
        return ""
    major, minor = os.major(number & 0xFFFFFFFF), os.minor(number & 0xFFFFFFFF)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return "console" if (major, minor) == (5, 1) else f"{major}:{minor}"
