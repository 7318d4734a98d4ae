"""The module itself: its columns, and the walk over the processes. The composition root of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter, Switch
from mig_core.plugin.table import TableContext, TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_process.facts import Facts

IDS_NOT_ASKED = Reason("ids of processes were not all asked whether they answer")
BEHIND_A_MOUNT = "behind a mount"
NOT_LISTED = "not listed in /proc"
"""The ways of hiding, as the column ``hidden`` has them."""


class ProcessModule(TableModule):
    """Says what runs, from where, as whom and since when."""

    info = ModuleInfo(
        name="process",
        summary="find processes by what they run, as whom, since when and where",
        needs_root=True,
        discloses="paths, command lines, users and containers of processes; on request open files and environment",
        preload=(
            *("mig_process.facts", "mig_process.unlisted", "mig_endpoint.processes.proc"),
            *("mig_endpoint.processes.visit", "mig_endpoint.processes.container", "hashlib"),
        ),
    )
    columns = (
        Column("pid", ColumnKind.INTEGER, "process id", always=True),
        Column("parent", ColumnKind.INTEGER, "id of the parent process"),
        Column("name", ColumnKind.TEXT, "the name it goes by, at most 15 bytes; it can be anything"),
        Column("cmdline", ColumnKind.TEXT, "command line as it shows it now", masked=True),
        Column("exe", ColumnKind.PATH, "the file it runs, as the kernel names it", masked=True),
        Column("deleted", ColumnKind.BOOLEAN, "the file it runs has no name any more, or another file has it"),
        Column("memfd", ColumnKind.BOOLEAN, "the file it runs never had a name (memfd_create)"),
        Column("sha256", ColumnKind.HASH, "SHA-256 of the file it runs", on_request=True),
        Column("user", ColumnKind.TEXT, "real user"),
        Column("effective_user", ColumnKind.TEXT, "effective user"),
        Column("uid", ColumnKind.INTEGER, "real user id"),
        Column("euid", ColumnKind.INTEGER, "effective user id"),
        Column("gid", ColumnKind.INTEGER, "real group id"),
        Column("login_uid", ColumnKind.INTEGER, "user id of the login it descends from"),
        Column("capabilities", ColumnKind.LIST, "effective capabilities; all for every one that the kernel has"),
        Column("started", ColumnKind.TIME, "when it started, by the clock that suspends do not stop"),
        Column("state", ColumnKind.TEXT, "R, S, D, T, t, Z (ended, not waited for), I"),
        Column("tty", ColumnKind.TEXT, "controlling terminal"),
        Column("cwd", ColumnKind.PATH, "working directory", masked=True),
        Column("root", ColumnKind.PATH, "root directory: / but after chroot", masked=True, on_request=True),
        Column("container", ColumnKind.TEXT, "runtime and id of the container it seems to live in"),
        Column("unit", ColumnKind.TEXT, "systemd unit it belongs to"),
        Column("cgroup", ColumnKind.TEXT, "control group"),
        Column("namespaces", ColumnKind.LIST, "its namespaces, like net:[4026531840]", on_request=True),
        Column("threads", ColumnKind.INTEGER, "number of threads"),
        Column("rss", ColumnKind.SIZE, "resident memory"),
        Column("vsize", ColumnKind.SIZE, "address space"),
        Column("seccomp", ColumnKind.TEXT, "strict or filter"),
        Column("no_new_privs", ColumnKind.BOOLEAN, "it can gain no privileges by running programs"),
        Column("tracer", ColumnKind.INTEGER, "id of the process that traces it"),
        Column("kernel", ColumnKind.BOOLEAN, "it is a thread of the kernel"),
        Column("lookalike", ColumnKind.BOOLEAN, "it looks like a thread of the kernel and is none"),
        Column("hidden", ColumnKind.TEXT, "how it hides: behind a mount, not listed in /proc"),
        Column("ancestry", ColumnKind.LIST, "its ancestors, nearest first, as id and name", on_request=True),
        Column("files", ColumnKind.LIST, "open descriptors and what they lead to", masked=True, on_request=True),
        Column("libraries", ColumnKind.LIST, "files mapped into it", masked=True, on_request=True),
        Column("mappings", ColumnKind.LIST, "its mappings, as /proc has them", masked=True, on_request=True),
        Column("environment", ColumnKind.LIST, "NAME=value as at its start", masked=True, on_request=True),
    )
    options = (
        Switch(name="tree", sets="with", value="ancestry", help="give the ancestors of each process too"),
        Parameter(
            name="unlisted",
            key="unlisted",
            kind=Kind.BOOLEAN,
            help="ask every possible id whether it answers: finds processes that /proc does not list; takes seconds",
        ),
    )

    def look(self, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        """A row for each process, by id; then those that /proc does not list, if they were asked for."""
        from mig_endpoint.processes.proc import Proc
        from mig_process.facts import Facts
        from mig_process.unlisted import is_thread

        with Proc(tally) as proc:
            facts = Facts(proc, context, tally)
            only = context.only("pid")
            for pid in proc.ids() if only is None else sorted(only):
                if context.expired():
                    return
                if only is not None and is_thread(proc, pid):
                    continue
                row = self._row(proc, pid, facts, tally, BEHIND_A_MOUNT if proc.is_covered(pid) else "")
                if row is not None:
                    yield row
            if context.values.boolean("unlisted"):
                yield from self._unlisted(proc, facts, context, tally)

    @staticmethod
    def _row(proc: Proc, pid: int, facts: Facts, tally: Tally, hidden: str) -> dict[str, Cell] | None:
        from mig_endpoint.processes.visit import visit

        rows: list[dict[str, Cell] | None] = [None]
        visit(proc, pid, tally, lambda process: rows.append(facts.row(process, hidden)))
        if (row := rows[-1]) is not None:
            tally.examined("processes")
        return row

    def _unlisted(self, proc: Proc, facts: Facts, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        from mig_endpoint.processes import reasons
        from mig_process.unlisted import RanOutOfTime, unlisted

        if tally.skipped(reasons.HIDDEN):  # whoever answers and is not listed is hidden by hidepid, from us only
            tally.skip(IDS_NOT_ASKED)
            return
        try:
            for pid in unlisted(proc, context.expired):
                yield self._row(proc, pid, facts, tally, NOT_LISTED) or {"pid": pid, "hidden": NOT_LISTED}
        except RanOutOfTime:
            tally.skip(IDS_NOT_ASKED)
        except OSError as error:
            tally.failed(IDS_NOT_ASKED, "/proc/sys/kernel/pid_max", error.strerror or str(error))
