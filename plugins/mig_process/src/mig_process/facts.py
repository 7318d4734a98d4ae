"""One process as a row. Every fact that may not be known becomes None, and is booked once for the process."""

from __future__ import annotations

import hashlib
import itertools
import os
from functools import partial
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint.processes import mappings
from mig_endpoint.processes.descriptors import RING, descriptors_of, files_of_ring
from mig_endpoint.processes.process import MAX_TEXT
from mig_process.capabilities import last_capability
from mig_process.sources import (
    OF_STATUS,
    Source,
    from_cgroup,
    from_cmdline,
    from_cwd,
    from_exe,
    from_login,
    from_namespaces,
    from_root,
    from_status,
    terminal_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.table import TableContext
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process
    from mig_process.sources import Ask

OVERWRITTEN = Reason("environment that its process has written over")
TROUBLE = Reason("fact about a process that could not be found out")
TOO_LONG = Reason("open files, mappings or variables of a process beyond 10,000")
CUT = Reason(f"file of a process in /proc that is longer than the {MAX_TEXT >> 20} MiB that are read of it")
NOT_HASHED = Reason("executable not hashed to the end: time ran out")
ENDED = FileNotFoundError, ProcessLookupError
_CHUNK = 1 << 20
MAX_ITEMS = 10_000
"""Items of a list in a row: a process may have a million files open to make an answer too large for the others."""


class Facts:
    """Makes rows of processes.

    Args:
        proc: of the walk.
        context: says which columns are wanted.
        tally: books what could not be found out.
    """

    def __init__(self, proc: Proc, context: TableContext, tally: Tally) -> None:
        self._proc = proc
        self._context = context
        self._tally = tally
        self._denied = False
        self._family: dict[int, tuple[int, str]] = {}
        """Parent and name of the processes seen so far."""
        self._hashes: dict[tuple[int, ...], str] = {}
        last = last_capability()
        self._from_status = partial(from_status, last=last) if self._wants(OF_STATUS) else None
        self._has_ancestry = bool(self._wants(("ancestry",)))
        self._login = self._sources((("login_uid",), from_login))
        self._program = self._sources((("cmdline", "lookalike"), from_cmdline), (("exe", "deleted", "memfd"), from_exe))
        self._place = self._sources(
            (("cwd",), from_cwd), (("root",), from_root), (("cgroup", "unit", "container"), from_cgroup)
        )
        self._namespaces = self._sources((("namespaces",), from_namespaces))
        self._costly = self._sources(
            (("sha256",), lambda process, row: row.update(sha256=self._hash(process))),
            (("files",), self._files),
            (("libraries",), self._libraries),
            (("mappings",), self._mappings),
            (("environment",), lambda process, row: row.update(environment=self._environment(process))),
        )

    def _wants(self, columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(filter(self._context.wants, columns))

    def _sources(self, *sources: tuple[tuple[str, ...], Ask]) -> tuple[Source, ...]:
        """Those of which a column is wanted."""
        return tuple(Source(wanted, ask) for columns, ask in sources if (wanted := self._wants(columns)))

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
        if self._has_ancestry:
            self._family[process.pid] = stat.parent, process.command
        rules_out = self._context.selection.rules_out
        if rules_out(row):
            return None
        row["started"] = process.started()
        row["threads"] = stat.threads
        row["tty"] = terminal_of(stat.terminal)
        if self._from_status is not None:
            self._from_status(process.status, row)
        self._ask(self._login, process, row)
        has_memory = process.has_memory()
        if has_memory:
            self._ask(self._program, process, row)
        else:
            row["lookalike"] = False
        if rules_out(row):
            return None
        self._ask(self._place, process, row)
        self._ask(self._namespaces, process, row)
        if has_memory:
            self._ask(self._costly, process, row)
        if self._has_ancestry:
            row["ancestry"] = self._ancestry(stat.parent)
        if self._denied:
            self._tally.skip(self._proc.denied, f"process {process.pid}")
        return row

    def _ask(self, sources: tuple[Source, ...], process: Process, row: dict[str, Cell]) -> None:
        """Puts what the sources tell into the row.

        None where we may not know; nothing where there is none, or the process ended.
        """
        for source in sources:
            try:
                source.ask(process, row)
            except PermissionError:
                row.update(dict.fromkeys(source.columns))
                self._denied = True
            except ENDED:
                pass
            except OSError as error:  # the rest of the row is no less true for it
                row.update(dict.fromkeys(source.columns))
                for name in source.columns:
                    self._tally.failed(TROUBLE, f"{name} of process {process.pid}", os.strerror(error.errno or 0))
        for name in sorted(process.cut):
            self._tally.skip(CUT, f"{name} of process {process.pid}")
        process.cut.clear()

    def _files(self, process: Process, row: dict[str, Cell]) -> None:
        row["files"] = self._bounded(process, _open_files(process))

    def _libraries(self, process: Process, row: dict[str, Cell]) -> None:
        own = os.fsencode(process.executable.link)
        row["libraries"] = self._bounded(process, map(os.fsdecode, mappings.libraries(process.mappings, own)))

    def _mappings(self, process: Process, row: dict[str, Cell]) -> None:
        row["mappings"] = self._bounded(process, map(_mapping_text, process.mappings))

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


def _open_files(process: Process) -> Iterator[str]:
    """Descriptors, and behind each io_uring what only it holds open."""
    for one in descriptors_of(process):
        yield f"{one.number} {one.target}"
        if one.target == RING:
            for target in files_of_ring(process, one.thread, one.number):
                yield f"{one.number} io_uring {target}"


def _mapping_text(one: mappings.Mapping) -> str:
    place = f"{one.start:08x}-{one.end:08x} {os.fsdecode(one.permissions)} {one.position:08x}"
    return f"{place} {os.fsdecode(one.path)}".rstrip()
