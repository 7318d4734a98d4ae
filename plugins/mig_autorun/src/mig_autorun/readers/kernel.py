"""Modules that are loaded at boot, commands of modprobe, formats with an interpreter, helpers that the kernel calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import shell_runs, word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, matching, with_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_MODPROBE = re.compile(r"(install|remove)\s+(\S+)\s+(.*)")
_DKMS = re.compile(r"(PRE_BUILD|POST_BUILD|PRE_INSTALL|POST_INSTALL|POST_ADD|POST_REMOVE|MAKE(?:\[\d+\])?)=(.*)")
_SYSCTL = re.compile(
    r"-?\s*(kernel[./](?:core_pattern|modprobe|hotplug|poweroff_cmd|usermodehelper[./]\w+))\s*=\s*(.*)"
)
_BOOT = re.compile(
    r"(?:^|[\s\"'])((?:rd)?init|systemd\.(?:run|wants|unit|mask|debug_shell|setenv)|module_blacklist)=(\"[^\"]*\"|\S+)"
)
_MAIN = ("linux", "options", "append", "GRUB_CMDLINE_LINUX")


def modules_load(found: Found, look: Look) -> Iterator[Entry]:
    """modules-load.d(5): a module a line."""
    for number, line in lines(look, found, "#;"):
        yield entry_of(found, line.split()[0], line=number, command=line, key="module")


def modprobe(found: Found, look: Look) -> Iterator[Entry]:
    """modprobe.d(5): commands that are run instead of loading or removing a module."""
    for number, fits in matching(look, found, _MODPROBE):
        yield from with_programs(look, entry_of(found, fits[2], line=number, key=fits[1], command=fits[3]))


def dkms(found: Found, look: Look) -> Iterator[Entry]:
    """dkms(8): scripts of a module that is built with each kernel."""
    folder = found.file.path.rpartition("/")[0]
    for number, fits in matching(look, found, _DKMS):
        one = entry_of(found, folder.rpartition("/")[2], line=number, key=fits[1], command=fits[2].strip("\"'"))
        yield from with_programs(look, one, folder=folder)


def binfmt(found: Found, look: Look) -> Iterator[Entry]:
    """binfmt.d(5): ``:name:type:offset:magic:mask:interpreter:flags`` with any character for the colon."""
    for number, line in lines(look, found, "#;"):
        fields = line[1:].split(line[0]) if line else []
        if len(fields) >= 6:
            yield entry_of(found, fields[0], line=number, key="interpreter", command=line, program=fields[5])


def binfmt_debian(found: Found, look: Look) -> Iterator[Entry]:
    """update-binfmts(8): what a package brings, or the administrator keeps."""
    if found.file.is_directory:
        return
    text = look.system.text(found.file)
    if "/var/lib/" in found.file.path:
        rows = text.split("\n")
        program = rows[6] if len(rows) > 6 else ""
    else:
        fits = re.search(r"^interpreter\s+(\S+)", text, re.MULTILINE)
        program = fits[1] if fits else ""
    if program:
        yield entry_of(found, key="interpreter", program=program)


def binfmt_registered(found: Found, look: Look) -> Iterator[Entry]:
    """What the kernel has registered now; an entry with the flag F goes on when its interpreter is gone."""
    if not look.system.is_own:
        return
    text = look.system.text(found.file)
    values = dict(line.partition(" ")[::2] for line in text.split("\n"))
    program = values.get("interpreter", "")
    state = "" if text.startswith("enabled") else "disabled"
    notes = ["runs on without its file (flag F)"] if "F" in values.get("flags:", "") else []
    yield entry_of(found, key="registered", program=program, state=state, enabled=not state, notes=notes)


def helper(found: Found, look: Look) -> Iterator[Entry]:
    """Programs that the kernel itself calls."""
    if not look.system.is_own:
        return
    value = look.system.text(found.file).strip()
    if not value or (found.file.name == "core_pattern" and not value.startswith("|")):
        return
    one = entry_of(found, key=found.file.name, command=value)
    yield from with_programs(look, one, word_runs(value.lstrip("|").split()))


def sysctl(found: Found, look: Look) -> Iterator[Entry]:
    """sysctl.d(5): settings that name a program for the kernel to call."""
    if found.file.is_directory:
        return
    for number, fits in matching(look, found, _SYSCTL, "#;"):
        value = fits[2]
        runs = word_runs(value.lstrip("|").split()) if value.startswith(("|", "/")) else []
        yield from with_programs(
            look, entry_of(found, fits[1].replace("/", "."), line=number, key="sysctl", command=value), runs
        )


def command_line(found: Found, look: Look) -> Iterator[Entry]:
    """Parameters of the kernel that name a program or unit, in the running one's and in those of the next boot."""
    if found.file.path == "/proc/cmdline" and not look.system.is_own:
        return
    is_whole = found.file.name == "cmdline"
    for number, line in lines(look, found):
        if not is_whole and not line.lower().startswith(tuple(one.lower() for one in _MAIN)):
            continue
        for fits in _BOOT.finditer(line):
            value = fits[2].strip("\"'")
            one = entry_of(found, fits[1], line=number, key=fits[1], command=value)
            runs = shell_runs(value) if fits[1] in ("init", "rdinit", "systemd.run") else []
            yield from with_programs(look, one, runs)
