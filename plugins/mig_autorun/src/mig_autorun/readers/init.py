"""What boots without systemd: System V scripts, inittab, OpenRC, runit, Upstart, supervisord, inetd."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, matching, with_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

RUNLEVELS = ("S", "1", "2", "3", "4", "5")
FOLDERS = ("/etc/rc{}.d", "/etc/rc.d/rc{}.d")
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
_NOT_SCRIPTS = frozenset({"README", "skeleton", "functions", "rc", "rcS", "rc.local", "single", "killprocs"})
_EXEC = re.compile(r"(exec|script|pre-start|post-start|pre-stop|post-stop)\b\s*(?:exec\s+)?(.*)")
_COMMAND = re.compile(r"command\s*=\s*(.*)")
_SERVER = re.compile(r"(server|server_args|user|disable)\s*=\s*(.*)")


def sysv(found: Found, look: Look) -> Iterator[Entry]:
    """An init script, with the runlevels in which links start it; systemd prefers a unit of the same name."""
    if found.file.is_directory or found.file.name in _NOT_SCRIPTS:
        return
    levels = _levels(found.file.name, look)
    state = found.state or _unit_instead(found.file.name, look) or ("" if levels else "no runlevel starts it")
    yield entry_of(
        found,
        program=look.system.tree.named(found.file.real) if found.file.real else found.file.path,
        when=f"runlevel {', '.join(levels)}" if levels else "",
        enabled=not state,
        state=state,
    )


def _levels(name: str, look: Look) -> list[str]:
    pattern = re.compile(rf"S[0-9][0-9]{re.escape(name)}")
    return [
        level
        for level in RUNLEVELS
        if any(pattern.fullmatch(one) for folder in FOLDERS for one in look.system.names(folder.format(level)))
    ]


def _unit_instead(name: str, look: Look) -> str:
    if not any(look.system.at(path) for path in SYSTEMD):
        return ""
    stem = name.removesuffix(".sh")
    for folder in UNITS:
        if look.system.at(f"{folder}/{stem}.service") is not None:
            return f"{folder}/{stem}.service is used instead"
    return ""


def sysv_link(found: Found, look: Look) -> Iterator[Entry]:
    """A link of a runlevel that does not lead to an init script; those that do are told with the script."""
    if found.file.is_directory:
        return
    real = look.system.tree.named(found.file.real) if found.file.real else ""
    if real.startswith(("/etc/init.d/", "/etc/rc.d/init.d/")):
        return
    level = found.file.path.split("/rc", 1)[1].rpartition("rc")[2][:1] if "/rc" in found.file.path else ""
    yield entry_of(found, program=real or found.file.path, when=f"runlevel {level}", notes=["not in init.d"])


def inittab(found: Found, look: Look) -> Iterator[Entry]:
    """inittab(5): id:runlevels:action:process."""
    for number, line in lines(look, found):
        fields = line.split(":", 3)
        if len(fields) == 4 and fields[2] not in ("initdefault", "off"):
            command = fields[3].lstrip("-@+")
            one = entry_of(found, fields[0] or fields[2], line=number, key=fields[2], command=command)
            one.when = f"runlevel {fields[1]}" if fields[1] else fields[2]
            yield from with_programs(look, one)


def openrc(found: Found, look: Look) -> Iterator[Entry]:
    """A service that a runlevel of OpenRC starts."""
    if found.file.is_directory:
        return
    level = found.file.path.split("/")[-2]
    real = look.system.tree.named(found.file.real) if found.file.real else found.file.path
    yield entry_of(found, program=real, when=f"runlevel {level}")


def runit(found: Found, look: Look) -> Iterator[Entry]:
    """The ``run`` of a supervised directory; a file ``down`` keeps it from being started."""
    folder, _, name = found.file.path.rpartition("/")
    state = found.state or ("a file down keeps it" if look.system.at(f"{folder}/down") is not None else "")
    yield entry_of(found, folder.rpartition("/")[2], key=name, program=found.file.path, state=state, enabled=not state)


def upstart(found: Found, look: Look) -> Iterator[Entry]:
    """init(5) of Upstart: ``exec`` lines; a script block is told as there."""
    is_there = look.system.at("/sbin/upstart") is not None or look.system.at("/usr/share/upstart") is not None
    state = found.state or ("" if is_there else "no upstart found")
    for number, fits in matching(look, found, _EXEC):
        one = entry_of(found, line=number, key=fits[1], command=fits[2], state=state, enabled=not state)
        yield from with_programs(look, one)


def supervisor(found: Found, look: Look) -> Iterator[Entry]:
    """supervisord: ``command=`` of a program."""
    section = ""
    for number, line in lines(look, found, "#;"):
        if line.startswith("["):
            section = line.strip("[]")
        elif (fits := _COMMAND.match(line)) is not None:
            yield from with_programs(look, entry_of(found, section, line=number, key="command", command=fits[1]))


def xinetd(found: Found, look: Look) -> Iterator[Entry]:
    """xinetd.conf(5)."""
    name = found.file.name
    values: dict[str, str] = {}
    began = 0
    for number, line in lines(look, found):
        if line.startswith("service "):
            name, values, began = line.split(None, 1)[1].strip(" {"), {}, number
        elif line == "}" and "server" in values:
            state = found.state or ("disabled" if values.get("disable", "no").strip() == "yes" else "")
            one = entry_of(found, name, line=began, key="server", state=state, enabled=not state)
            one.user = values.get("user", "")
            one.command = f"{values['server']} {values.get('server_args', '')}".strip()
            yield from with_programs(look, one)
        elif (fits := _SERVER.match(line)) is not None:
            values[fits[1]] = fits[2]


def inetd(found: Found, look: Look) -> Iterator[Entry]:
    """inetd.conf(5): service, type, protocol, wait, user, program, arguments."""
    for number, line in lines(look, found):
        fields = line.split(None, 6)
        if len(fields) >= 6:
            one = entry_of(found, fields[0], line=number, key="server", user=fields[4].partition(":")[0])
            one.command = " ".join(fields[5:])
            words = [fields[5], *(fields[6].split()[1:] if len(fields) > 6 else ())]
            yield from with_programs(look, one, [] if fields[5] == "internal" else word_runs(words))
