"""The module itself: its columns, and rows of what the survey found. The composition root of the plugin."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_core.plugin.checks import absolute_path_or_none
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.parameters import Parameter
from mig_core.plugin.table import TableContext, TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.programs import Programs
    from mig_autorun.system import File, System
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.coverage import Tally

RESERVE = 0.25
"""Share of the time that is kept for owners and rows."""
UNREADABLE = Reason("program that could not be hashed")
MAX_HASHED = 1 << 30
MAX_ENTRIES = 200_000
NO_ROOT = Reason("root that is not there")
NO_SYSTEM = Reason("root without a system: neither /etc nor /usr")
TOO_MANY = Reason("entry that an answer has no room for")
DECODED = 8000


class AutorunModule(TableModule):
    """Says what starts by itself or gets into other programs."""

    info = ModuleInfo(
        name="autorun",
        summary="find what starts by itself: units, cron, hooks, modules, and who owns what it runs",
        needs_root=True,
        discloses="command lines of what starts by itself, names of units, files, users and package sources",
        preload=("mig_autorun.survey", "mig_endpoint.packages.file_owners"),
    )
    columns = (
        Column("kind", ColumnKind.TEXT, "what it is, like systemd, cron, pam, udev, module", always=True),
        Column("name", ColumnKind.TEXT, "name of the unit, service, variable or file", always=True),
        Column("enabled", ColumnKind.BOOLEAN, "in force: it would be run without anybody's asking for it"),
        Column("state", ColumnKind.TEXT, "of a unit as systemctl is-enabled has it; else why it is not in force"),
        Column("path", ColumnKind.PATH, "the file that defines it", masked=True),
        Column("line", ColumnKind.INTEGER, "line of that file"),
        Column("key", ColumnKind.TEXT, "setting that names what is run, like ExecStart or RUN+="),
        Column("command", ColumnKind.TEXT, "what is run, as written", masked=True),
        Column("runs", ColumnKind.PATH, "program, script or library that is run or loaded", masked=True),
        Column("exists", ColumnKind.BOOLEAN, "whether that is there"),
        Column("user", ColumnKind.TEXT, "as whom"),
        Column("when", ColumnKind.TEXT, "schedule or event"),
        Column("started_by", ColumnKind.LIST, "units and events that start it"),
        Column("sources", ColumnKind.LIST, "drop-ins and other files that have a part in it", masked=True),
        Column("owner", ColumnKind.TEXT, "user that owns the program"),
        Column("mode", ColumnKind.TEXT, "permissions of the program, like 0755"),
        Column("package", ColumnKind.TEXT, "package that owns the program"),
        Column("defined_by", ColumnKind.TEXT, "package that owns the file that defines it"),
        Column(
            "unpackaged", ColumnKind.BOOLEAN, "no package owns the program, or none one of the files that define it"
        ),
        Column("writable", ColumnKind.BOOLEAN, "somebody else than root and the user it runs as may change it"),
        Column("changed", ColumnKind.TIME, "last change of program or definition, by the file system's own clock"),
        Column("modified", ColumnKind.TIME, "when the content of the definition was written, as the file says"),
        Column("notes", ColumnKind.LIST, "what else there is to know", masked=True),
        Column(
            "altered",
            ColumnKind.BOOLEAN,
            "a packaged part, program or definition, has other content than its package brought",
            on_request=True,
        ),
        Column("sha256", ColumnKind.HASH, "SHA-256 of the program", on_request=True),
    )
    options = (
        Parameter(
            name="root",
            key="root",
            metavar="DIRECTORY",
            check=absolute_path_or_none,
            help="look at the system whose file system is mounted here instead of at the endpoint's own",
        ),
    )

    def look(self, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        """A row for each program of each thing that starts by itself."""
        from mig_autorun.programs import Programs
        from mig_autorun.survey import Survey
        from mig_autorun.system import System
        from mig_endpoint import coverage
        from mig_endpoint.files.doorways import mounts_below, root_of
        from mig_endpoint.packages.mounts import elsewhere, mount_points
        from mig_endpoint.packages.tree import Tree

        root = context.values.text("root") or "/"
        top = root_of(root)
        reserve = context.remaining() * RESERVE
        tree = Tree(top, elsewhere(mount_points(mounts_below(top))))
        system = System(tree, tally, lambda: context.remaining() - reserve, self._now())
        folder = system.folder("/")
        if folder is None:
            tally.failed(NO_ROOT, root, "not a directory that can be listed")
            return
        if not {"etc", "usr"} & set(folder.names):
            tally.skip(NO_SYSTEM, root)
        programs = Programs(system)
        rows: list[tuple[Entry, dict[str, Cell]]] = []
        for entry in Survey(system, programs).entries(lambda kind: not context.rules_out(kind=kind)):
            if system.expired():
                tally.skip(coverage.TIME, entry.path)
                break
            row = _plain(entry)
            if context.rules_out(**row):
                continue
            if len(rows) >= MAX_ENTRIES:
                tally.skip(TOO_MANY, entry.path)
                continue
            rows.append((entry, row))
        yield from _Rows(context, system, programs).complete(rows)

    def line(self, row: Row) -> str:
        """What it is, whether it is in force, what it runs, and where that is said."""
        enabled = row.get("enabled")
        sign = "?" if enabled is None else "+" if enabled else "-"
        said = [f"{sign} {row.get('kind')} {row.get('name')}"]
        if row.get("state"):
            said.append(f"[{row['state']}]")
        said.append(f"runs={row.get('runs') or row.get('command') or ''}")
        said += [f"{name}={row[name]}" for name in ("user", "when", "package") if row.get(name)]
        if row.get("unpackaged"):
            said.append("unpackaged")
        if row.get("writable"):
            said.append("writable")
        where = row.get("path") or "?"
        said.append(f"in {where}:{row['line']}" if row.get("line") else f"in {where}")
        return " ".join(said)


def _plain(entry: Entry) -> dict[str, Cell]:
    """The cells that cost nothing more."""
    row: dict[str, Cell] = {
        "kind": entry.kind,
        "name": entry.name,
        "enabled": entry.enabled,
        "state": entry.state,
        "path": entry.path,
        "key": entry.key,
        "command": entry.command[:DECODED],
        "runs": entry.program,
        "user": entry.user,
        "when": entry.when,
        "started_by": entry.started_by,
        "sources": entry.sources,
        "notes": entry.notes,
    }
    if entry.line:
        row["line"] = entry.line
    if entry.status is not None:
        row["modified"] = entry.status.st_mtime
    return row


class _Rows:
    """Completes rows: whose the programs are, who may change them, when they were changed."""

    def __init__(self, context: TableContext, system: System, programs: Programs) -> None:
        self._context = context
        self._system = system
        self._programs = programs
        self._hashes: dict[str, str | None] = {}
        self._altered: dict[str, bool | None] | None = None

    def complete(self, rows: list[tuple[Entry, dict[str, Cell]]]) -> Iterator[dict[str, Cell]]:
        """The rows, whole."""
        owners = self._owners([entry for entry, _ in rows])
        if self._context.wants("altered"):
            self._altered = self._contents(owners)
        for entry, row in rows:
            self._program(entry, row, owners)
            self._definition(entry, row, owners)
            self._change(entry, row)
            if self._altered is not None:
                self._content(entry, row, self._altered)
            yield row

    def _contents(self, owners: dict[str, str | None]) -> dict[str, bool | None]:
        from mig_endpoint.packages.file_contents import changed
        from mig_endpoint.packages.site import RanOutOfTime, Site

        owned = {path: name for path, name in owners.items() if name and self._is_plain(path)}
        try:
            return changed(Site(self._system.tree, self._system.tally, self._context.remaining), owned)
        except RanOutOfTime:
            return dict.fromkeys(owned)

    def _is_plain(self, path: str) -> bool:
        file = self._system.at(path)
        return file is not None and file.is_file and not file.link

    def _content(self, entry: Entry, row: dict[str, Cell], altered: dict[str, bool | None]) -> None:
        if entry.kind == "package-script":
            return  # no package keeps a sum of its own scripts
        parts = [entry.program or "", entry.path, *entry.sources]
        found = [altered[one] for path in parts if path for one in self._names(path) if one in altered]
        if found:
            row["altered"] = True if True in found else None if None in found else False

    def _owners(self, entries: list[Entry]) -> dict[str, str | None]:
        from mig_endpoint.packages.file_owners import owners
        from mig_endpoint.packages.site import RanOutOfTime, Site

        paths: set[str] = set()
        for entry in entries:
            for path in (entry.program, entry.origin or entry.path, *entry.sources):
                if path and path.startswith("/"):
                    paths.update(self._names(path))
        if not paths:
            return {}
        site = Site(self._system.tree, self._system.tally, self._context.remaining)
        try:
            return owners(site, paths)
        except RanOutOfTime:
            return {}

    def _names(self, path: str) -> list[str]:
        """A path, and what it leads to."""
        file = self._system.at(path)
        real = self._system.tree.named(file.real) if file is not None and file.real else path
        return [path] if real == path else [real, path]

    def _owner(self, path: str, owners: dict[str, str | None]) -> str | None:
        """The package of what a path leads to, or of the path itself; empty for none, None for not known."""
        found = [owners.get(one) for one in self._names(path)]
        named = next((one for one in found if one), "")
        return named or (None if None in found else "")

    def _program(self, entry: Entry, row: dict[str, Cell], owners: dict[str, str | None]) -> None:
        path = entry.program
        if path is None:
            row.update(dict.fromkeys(("exists", "owner", "mode", "package")))
        elif path:
            file = self._system.at(path) if path.startswith("/") else None
            there = file is not None and file.status is not None
            row["exists"] = there
            if file is not None and file.status is not None:
                row["owner"] = self._system.user_name(file.status.st_uid)
                row["mode"] = f"{stat.S_IMODE(file.status.st_mode):04o}"
                row["package"] = self._owner(path, owners)
                if self._context.wants("sha256"):
                    row["sha256"] = self._hash(file)

    def _definition(self, entry: Entry, row: dict[str, Cell], owners: dict[str, str | None]) -> None:
        path = entry.origin or entry.path
        if path.startswith(("/proc/", "/sys/")) or not path.startswith("/"):
            defined: str | None = None
            has_definition = False
        else:
            defined, has_definition = self._owner(path, owners), True
            if entry.kind == "package-script":
                defined = entry.name.partition(":")[0]
                row["package"] = defined
            row["defined_by"] = defined
        parts = []
        if has_definition:
            parts.append(None if defined is None else not defined)
        for source in entry.sources:
            if source.startswith("/"):
                owner = self._owner(source, owners)
                parts.append(None if owner is None else not owner)
        if row.get("exists") is None and entry.program is None:
            parts.append(None)
        elif row.get("exists") and "package" in row:
            parts.append(None if row["package"] is None else not row["package"])
        if parts:
            row["unpackaged"] = True if True in parts else None if None in parts else False

    def _change(self, entry: Entry, row: dict[str, Cell]) -> None:
        files = [file for path in self._parts(entry) if (file := self._system.at(path)) is not None]
        times = [file.status.st_ctime for file in files if file.status is not None]
        if times:
            row["changed"] = max(times)
        if files:
            row["writable"] = self._writable(entry, files)

    def _parts(self, entry: Entry) -> list[str]:
        paths = [entry.path, *entry.sources, entry.program or ""]
        return [path for path in paths if path.startswith("/") and not path.startswith(("/proc/", "/sys/"))]

    def _writable(self, entry: Entry, files: list[File]) -> bool | None:
        who: set[int] = set()
        for file in files:
            who |= self._programs.changers(file)
        if entry.program and entry.program.startswith("/") and self._system.at(entry.program) is None:
            who |= self._programs.changers_of_directory(entry.program.rpartition("/")[0] or "/")
        who.discard(self._system.ids.get(entry.user or "", 0))
        if entry.program is None and not who:
            return None
        return bool(who)

    def _hash(self, file: File) -> str | None:
        if file.path not in self._hashes:
            self._hashes[file.path] = self._digest(file)
        return self._hashes[file.path]

    def _digest(self, file: File) -> str | None:
        import hashlib

        from mig_endpoint.packages.folder import TooLarge

        if not file.is_file:
            return ""
        running = hashlib.sha256(usedforsecurity=False)
        try:
            for piece in self._system.tree.chunks(file.path, MAX_HASHED):
                running.update(piece)
                if self._context.expired():
                    return None
        except (OSError, TooLarge) as error:
            self._system.tally.failed(UNREADABLE, file.path, str(error))
            return None
        return running.hexdigest()
