"""One process as a row. Every fact that may not be known becomes None, and is booked once for the process."""

from __future__ import annotations

import hashlib
import itertools
import os
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint.processes import mappings
from mig_endpoint.processes.descriptors import descriptors_of
from mig_endpoint.user_names import user_name
from mig_process.capabilities import last_capability, names_of
from mig_process.disguise import looks_like_kernel
from mig_process.units import group_of, unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.table import TableContext
    from mig_endpoint.processes.descriptors import Descriptor
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process

OVERWRITTEN = Reason("environment that its process has written over")
TROUBLE = Reason("fact about a process that could not be found out")
TOO_LONG = Reason("open files, mappings or variables of a process beyond 10,000")
NOT_HASHED = Reason("executable not hashed to the end: time ran out")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
OF_STATUS = frozenset(
    {
        *("uid", "euid", "user", "effective_user", "gid", "capabilities", "seccomp", "no_new_privs", "tracer"),
        *("rss", "vsize"),
    }
)
"""The columns that ``status`` is read for."""
ALL_FACTS = OF_STATUS | {
    *("login_uid", "cmdline", "lookalike", "exe", "deleted", "memfd", "cwd", "root", "cgroup", "unit", "container"),
    *("namespaces", "sha256", "files", "libraries", "mappings", "environment", "ancestry"),
}
"""And those that something else is read for."""
SECCOMP = {"0": "", "1": "strict", "2": "filter"}
_CHUNK = 1 << 20
MAX_ITEMS = 10_000
"""Items of a list in a row: a process may have a million files open to make an answer too large for the others."""
_NO_LOGIN = "4294967295"


class Facts:
    """Makes rows of processes.

    Args:
        proc: of the walk.
        context: says which costly columns are wanted.
        tally: books what could not be found out.
    """

    def __init__(self, proc: Proc, context: TableContext, tally: Tally) -> None:
        self._proc = proc
        self._context = context
        self._tally = tally
        self._last_capability = last_capability()
        self._wanted = frozenset(name for name in ALL_FACTS if context.wants(name))
        self._denied = False
        self._family: dict[int, tuple[int, str]] = {}
        """Parent and name of the processes seen so far."""
        self._hashes: dict[tuple[int, ...], str] = {}

    def row(self, process: Process, hidden: str = "") -> dict[str, Cell] | None:
        """The row; None as soon as it is certain that nobody asked for it.

        Args:
            process: an open one.
            hidden: how it hides, if it does.
        """
        self._denied = False
        stat = process.stat
        row: dict[str, Cell] = {"pid": process.pid, "parent": stat.parent, "state": stat.state, "hidden": hidden}
        row["name"] = process.command
        row["kernel"] = stat.is_kernel_thread
        if "ancestry" in self._wanted:
            self._family[process.pid] = stat.parent, process.command
        if self._context.rules_out(**row):
            return None
        self._identity(process, row)
        self._program(process, row)
        if self._context.rules_out(**row):
            return None
        self._place(process, row)
        self._costly(process, row)
        if self._denied:
            self._tally.skip(self._proc.denied, f"process {process.pid}")
        return row

    def _identity(self, process: Process, row: dict[str, Cell]) -> None:
        row["started"] = process.started()
        row["threads"] = process.stat.threads
        if OF_STATUS & self._wanted:
            self._from_status(process, row)
        self._put(row, "login_uid", lambda: login_of(process))

    def _from_status(self, process: Process, row: dict[str, Cell]) -> None:
        status = process.status
        users = process.users
        row["uid"], row["euid"] = users[0], users[1]
        row["user"], row["effective_user"] = user_name(users[0]), user_name(users[1])
        row["gid"] = int(status.get("Gid", "0").split()[0])
        row["capabilities"] = names_of(status.get("CapEff", "0"), self._last_capability)
        row["seccomp"] = SECCOMP.get(status.get("Seccomp", "0"), status.get("Seccomp", ""))
        row["no_new_privs"] = status.get("NoNewPrivs") == "1"
        if tracer := int(status.get("TracerPid", "0")):
            row["tracer"] = tracer
        for name, field in (("rss", "VmRSS"), ("vsize", "VmSize")):
            if size := status.get(field):
                row[name] = int(size.removesuffix(" kB")) << 10

    def _program(self, process: Process, row: dict[str, Cell]) -> None:
        if not process.has_memory():
            row["lookalike"] = False
            return
        self._put(row, "cmdline", lambda: os.fsdecode(b" ".join(process.arguments)))
        self._put(row, "lookalike", lambda: looks_like_kernel(process.command, process.arguments))
        self._put(row, "exe", lambda: process.executable.path)
        self._put(row, "deleted", lambda: process.executable.deleted)
        self._put(row, "memfd", lambda: process.executable.memfd)

    def _place(self, process: Process, row: dict[str, Cell]) -> None:
        row["tty"] = terminal_of(process.stat.terminal)
        self._put(row, "cwd", lambda: process.link("cwd"))
        self._put(row, "root", lambda: process.link("root"))
        self._put(row, "cgroup", lambda: group_of(process.cgroup))
        self._put(row, "unit", lambda: unit_of(process.cgroup))
        self._put(row, "container", lambda: process.container)

    def _costly(self, process: Process, row: dict[str, Cell]) -> None:
        asks: dict[str, Callable[[], Cell]] = {
            "namespaces": lambda: [process.link(f"ns/{kind}") for kind in NAMESPACES],
            "sha256": lambda: self._hash(process),
            "files": lambda: self._bounded(process, map(_descriptor_text, descriptors_of(process))),
            "libraries": lambda: self._bounded(
                process,
                map(os.fsdecode, mappings.libraries(process.mappings, os.fsencode(process.executable.link))),
            ),
            "mappings": lambda: self._bounded(process, map(_mapping_text, process.mappings)),
            "environment": lambda: self._environment(process),
        }
        for name, ask in asks.items():
            if name in self._wanted and (process.has_memory() or name == "namespaces"):
                self._put(row, name, ask)
        if "ancestry" in self._wanted:
            row["ancestry"] = self._ancestry(process.stat.parent)

    def _put(self, row: dict[str, Cell], name: str, ask: Callable[[], Cell]) -> None:
        """Puts a fact into the row, if it is wanted.

        None where we may not know; nothing where there is none, or the process ended.
        """
        if name not in self._wanted:
            return
        try:
            row[name] = ask()
        except PermissionError:
            row[name] = None
            self._denied = True
        except (FileNotFoundError, ProcessLookupError):
            pass
        except OSError as error:  # the rest of the row is no less true for it
            row[name] = None
            self._tally.failed(TROUBLE, f"{name} of process {row['pid']}", os.strerror(error.errno or 0))

    def _hash(self, process: Process) -> str | None:
        """SHA-256 of the file it runs, also of one that has no name any more."""
        digest = hashlib.sha256()
        with open(process.open("exe"), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if key in self._hashes:
                return self._hashes[key]
            while piece := file.read(_CHUNK):
                if self._context.expired():
                    self._tally.skip(NOT_HASHED, f"process {process.pid}")
                    return None
                digest.update(piece)
        self._hashes[key] = digest.hexdigest()
        return self._hashes[key]

    def _environment(self, process: Process) -> list[str] | None:
        variables = process.environment
        if variables and not any(b"=" in one for one in variables):
            self._tally.skip(OVERWRITTEN, f"process {process.pid}")
            return None
        if not variables and process.read("environ"):  # nothing but NULs: setproctitle and its kin do that
            self._tally.skip(OVERWRITTEN, f"process {process.pid}")
            return None
        return self._bounded(process, map(os.fsdecode, variables))

    def _bounded(self, process: Process, items: Iterator[str]) -> list[str]:
        found = list(itertools.islice(items, MAX_ITEMS))
        if next(items, None) is not None:
            self._tally.skip(TOO_LONG, f"process {process.pid}")
        return found

    def _ancestry(self, parent: int) -> list[str]:
        """Its ancestors, nearest first: ``812 sshd``."""
        found: list[str] = []
        seen: set[int] = set()
        while parent and parent not in seen:
            seen.add(parent)
            if (known := self._family.get(parent)) is None:
                try:
                    with self._proc.process(parent) as process:
                        known = self._family[parent] = process.stat.parent, process.command
                except OSError:
                    found.append(f"{parent} ?")
                    break
            found.append(f"{parent} {known[1]}")
            parent = known[0]
        return found


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


def login_of(process: Process) -> int:
    """The user id of the login it descends from (``loginuid``, kernel/audit.c).

    Raises:
        FileNotFoundError: it descends from none, or the kernel does not keep it.
    """
    text = process.read_at_once("loginuid").decode("ascii", "replace").strip()
    if text in ("", _NO_LOGIN):
        raise FileNotFoundError(2, "no login")
    return int(text)


def _descriptor_text(one: Descriptor) -> str:
    return f"{one.number} {one.target}"


def _mapping_text(one: mappings.Mapping) -> str:
    place = f"{one.start:x}-{one.end:x} {os.fsdecode(one.permissions)} {one.position:x}"
    return f"{place} {os.fsdecode(one.path)}".rstrip()
