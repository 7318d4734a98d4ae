"""Entries of units: one for each program that a unit runs, or one for the unit that runs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun.commands import Run, word_runs
from mig_autorun.entry import Entry
from mig_autorun.finding import expand
from mig_autorun.systemd import names
from mig_autorun.systemd.starting import Starting, triggered_by
from mig_autorun.systemd.state import States
from mig_autorun.systemd.unit_file import commands, words
from mig_core.plugin.coverage import Reason
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mig_autorun.programs import Program, Programs
    from mig_autorun.systemd.scope import Scope, Unit
    from mig_autorun.systemd.unit_file import Command, Setting

EXEC = {
    "service": ("Service", (
        "ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecReloadPost", "ExecStop",
        "ExecStopPost",
    )),
    "socket": ("Socket", ("ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost")),
}  # fmt: skip
SCHEDULES = (
    "OnCalendar", "OnBootSec", "OnStartupSec", "OnActiveSec", "OnUnitActiveSec", "OnUnitInactiveSec", "OnClockChange",
)  # fmt: skip
LISTENS = (
    "ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenSpecial", "ListenNetlink",
    "ListenMessageQueue",
)  # fmt: skip
WATCHES = ("PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty")
MAX_COMMANDS = 1000
TOO_MANY = Reason("command of a unit behind its first thousand")
_WHEN = {"timer": ("Timer", SCHEDULES), "socket": ("Socket", LISTENS), "path": ("Path", WATCHES)}
INJECTING = (
    "LD_",
    "PYTHON",
    "PERL5",
    "RUBYOPT",
    "RUBYLIB",
    "NODE_OPTIONS",
    "BASH_ENV",
    "ENV=",
    "JAVA_TOOL",
    "GCONV_PATH",
)
"""Beginnings of variables by which code gets into programs."""
SYSTEM_SPECIFIERS = {
    "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "h": "/root", "u": "root",
    "U": "0", "s": "/bin/sh", "D": "/usr/share",
}  # fmt: skip
"""What ``%t`` and others stand for in units of the system (systemd.unit(5), SPECIFIERS)."""
EXEC_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Units:
    """Gives the entries of one search path."""

    def __init__(
        self,
        scope: Scope,
        roots: Mapping[str, str],
        programs: Programs,
        *,
        kind: str,
        user: str,
        specifiers: Mapping[str, str],
        activated: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._scope = scope
        self._states = States(scope)
        self._starting = Starting(scope, roots, activated)
        self._programs = programs
        self._kind = kind
        self._user = user
        self._specifiers = dict(specifiers)
        self._when: dict[str, list[str]] = {}

    def entries(self) -> Iterator[Entry]:
        """Those of every unit that there is a file for, and of every instance that is started."""
        known = self._scope.known()
        started = [name for name in self._starting.names() if name not in set(known)]
        units = [*known, *started]
        for name in units:
            if self._scope.own_name(name) == name and not names.is_template(name):
                unit = self._scope.unit(name)
                if (target := triggered_by(unit)) and self._starting.by(name):
                    self._when.setdefault(self._scope.own_name(target), []).append(self._schedule(unit))
        for name in units:
            if self._scope.system.expired():
                return
            self._scope.system.tally.examined("units")
            yield from self._of(name)

    def _schedule(self, unit: Unit) -> str:
        if unit.type not in _WHEN:
            return unit.name
        section, keys = _WHEN[unit.type]
        return ", ".join(f"{one.key}={one.value}" for one in unit.settings.every(section, *keys)) or unit.name

    def _of(self, name: str) -> Iterator[Entry]:
        own = self._scope.own_name(name)
        state = self._states.of(name)
        if own != name:
            yield self._alias(name, own, state)
            return
        unit = self._scope.unit(name)
        if unit.fragment is None:
            return
        entry = self._entry(unit, state)
        found = 0
        section, keys = EXEC.get(unit.type, ("", ()))
        for setting in unit.settings.every(section, *keys) if section and not unit.is_masked else ():
            for command in commands(setting.value):
                if found >= MAX_COMMANDS:
                    self._scope.system.tally.skip(TOO_MANY, setting.path)
                    break
                for one in self._command(unit, entry, setting, command):
                    found += 1
                    yield one
        if not found:
            yield entry
        yield from self._environment(unit, entry)

    def _alias(self, name: str, own: str, state: str) -> Entry:
        file = self._scope.file_named(name)
        by = self._starting.by(name)
        return Entry(
            self._kind,
            name,
            file.path if file is not None else "",
            file.status if file is not None else None,
            key="alias",
            enabled=bool(by),
            state=state,
            started_by=by,
            notes=[f"alias of {own}"],
        )

    def _entry(self, unit: Unit, state: str) -> Entry:
        by = self._starting.by(unit.name)
        fragment = unit.fragment
        when = self._when.get(unit.name) or ([self._schedule(unit)] if unit.type in _WHEN else [])
        origin = unit.settings.last("Unit", "SourcePath") if state == "generated" else ""
        entry = Entry(
            self._kind,
            unit.name,
            unit.path,
            fragment.status if fragment is not None else None,
            user=self._user_of(unit),
            when="; ".join(when),
            enabled=bool(by),
            state=state,
            started_by=by,
            sources=tuple(one.path for one in unit.drop_ins),
            origin=origin.rpartition(":")[0] if origin.startswith("/") and ":" in origin else origin,
        )
        if not unit.loads and not unit.is_masked:
            entry.notes.append("bad setting: never started")
        if unit.type in ("timer", "path") and not unit.is_masked:
            target = self._scope.own_name(triggered_by(unit))
            if not self._scope.is_known(target) or not self._scope.unit(target).loads:
                entry.notes.append(f"refused: {target} is not loaded")
        return entry

    def _user_of(self, unit: Unit) -> str | None:
        section = {"service": "Service", "socket": "Socket", "mount": "Mount", "swap": "Swap"}.get(unit.type, "")
        if section == "Service":
            named = names.expand(unit.settings.last(section, "User"), unit.name, self._specifiers)
            if named is None:
                return None
            if unit.settings.last(section, "DynamicUser").lower() in ("yes", "true", "1", "on") and not named:
                return "dynamic"
            if named:
                number = int(named) if named.isdecimal() and len(named) < 11 else None
                return self._scope.system.user_name(number) if number is not None else named
        return self._user if section else ""

    def _command(self, unit: Unit, entry: Entry, setting: Setting, command: Command) -> Iterator[Entry]:
        expanded = [names.expand(word, unit.name, self._specifiers) for word in command.words]
        program = expanded[0]
        literal = [one if one is not None else word for one, word in zip(expanded, command.words, strict=True)]
        runs = word_runs(literal) if program is not None else [Run(None)]
        for run in runs:
            resolved = self._resolve(unit, run)
            if run.is_argument and not (resolved and resolved.exists and resolved.file and resolved.file.may_run):
                continue
            one = replace(
                entry,
                line=setting.line,
                key=setting.key,
                command=setting.value,
                program=None if resolved is None else resolved.path,
                notes=list(entry.notes),
            )
            if setting.path != entry.path:
                self._say_where(one, setting.path)
            if "+" in command.prefix or "!" in command.prefix:
                one.user = self._user
            yield one

    def _say_where(self, entry: Entry, path: str) -> None:
        """A setting of a drop-in is defined there; the unit's own file is another part."""
        file = self._scope.system.at(path)
        entry.sources = (entry.path, *(one for one in entry.sources if one != path))
        entry.path = path
        entry.status = file.status if file is not None else None
        entry.origin = ""

    def _resolve(self, unit: Unit, run: Run) -> Program | None:
        """The program; None where the unit has a root of its own in which nobody looked."""
        if run.program is not None and ("$" in run.program or "%" in run.program):
            return None
        if unit.settings.last("Service", "RootImage"):
            return None
        root = unit.settings.last("Service", "RootDirectory").rstrip("/")
        search = tuple(unit.settings.words("Service", "ExecSearchPath"))
        search = tuple(one for word in search for one in word.split(":")) or EXEC_PATH
        folder = unit.settings.last("Service", "WorkingDirectory").lstrip("-")
        if root:
            search = tuple(f"{root}{one}" for one in search)
            program = f"{root}{run.program}" if (run.program or "").startswith("/") else run.program
            run = Run(program, f"{root}{run.script}" if run.script.startswith("/") else run.script)
        return self._programs.of(run, search, folder if folder.startswith("/") else "")

    def _environment(self, unit: Unit, entry: Entry) -> Iterator[Entry]:
        """Variables by which code gets into what the unit runs."""
        if unit.is_masked or unit.type not in EXEC:
            return
        section = EXEC[unit.type][0]
        for setting in unit.settings.every(section, "Environment"):
            for word in words(setting.value):
                if word.startswith(INJECTING):
                    yield self._variable(entry, setting.key, word, setting.path, setting.line)
        for setting in unit.settings.every(section, "EnvironmentFile"):
            path = names.expand(setting.value.lstrip("-"), unit.name, self._specifiers)
            for one in expand(self._scope.system, path) if path and path.startswith("/") else ():
                yield from self._environment_file(entry, setting.key, one)

    def _environment_file(self, entry: Entry, key: str, path: str) -> Iterator[Entry]:
        file = self._scope.system.at(path)
        if file is not None and file.is_file:
            for number, line in enumerate(self._scope.system.text(file).split("\n"), 1):
                if line.strip().startswith(INJECTING):
                    yield self._variable(entry, key, line.strip(), file.path, number)

    def _variable(self, entry: Entry, key: str, text: str, path: str, line: int) -> Entry:
        value = text.partition("=")[2].strip("\"'")
        program = value.split(":")[0].split(" ")[0] if value.startswith("/") else ""
        return Entry(
            "environment", entry.name, path, None, line, key, text, program, entry.user, entry.when, entry.enabled,
            entry.state, entry.started_by, (entry.path,),
        )  # fmt: skip
