"""What is in force in the running kernel: loaded modules, mounts, eBPF programs and links."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mig_autorun import bpf
from mig_autorun.entry import Entry
from mig_autorun.finding import MAX_DEPTH, below
from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.files.mounts import MOUNTINFO, read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.system import System

NO_PROC = Reason("list of mounts or modules that the kernel does not give")
NO_BPFFS = Reason("pinned eBPF programs: no bpffs is mounted", as_asked=True)
NO_BPF = Reason("eBPF programs and links: not permitted to ask the kernel")
TAINTS = {
    "O": "out of tree",
    "E": "unsigned",
    "P": "proprietary",
    "F": "loaded by force",
    "C": "staging",
    "K": "live patch",
}
MODULES = "/proc/modules"
LOADED = "/sys/module"


def modules(system: System, listing: str = MODULES, loaded: str = LOADED) -> Iterator[Entry]:
    """The loaded modules, with what taints the kernel of them, and those that the listing hides."""
    try:
        listed = _listed(listing)
    except FileNotFoundError:
        if not os.path.isdir("/proc/self"):
            system.tally.skip(NO_PROC, listing)
        listed = {}  # a kernel without modules, unless the other list knows better
    except OSError as error:
        coverage.failed(system.tally, listing, error)
        return
    files = _module_files(system)
    for name, used_by in listed.items():
        yield _module(name, files, _taint(loaded, name), used_by)
    try:
        names = os.listdir(loaded)
    except OSError as error:
        coverage.failed(system.tally, loaded, error, NO_PROC)
        return
    others = sorted(name for name in set(names) - listed.keys() if _is_loaded(loaded, name))
    now = {}
    if others:  # some may have been loaded since the listing was read: it is asked once more
        with contextlib.suppress(OSError):
            now = _listed(listing)
    for name in others:
        one = _module(name, files, _taint(loaded, name), now.get(name, ()))
        if name not in now:
            if not _is_loaded(loaded, name):
                continue  # gone meanwhile
            one.notes.append("hidden: not in /proc/modules")
        yield one


def _listed(listing: str) -> dict[str, tuple[str, ...]]:
    """The names of modules in the listing, and by which others each is used."""
    with open(listing, encoding="utf-8", errors="surrogateescape") as file:
        lines = (line.split() for line in file if line.strip())
        used = {fields[0]: fields[3].strip("-,").split(",") if len(fields) > 3 else [] for fields in lines}
    return {name: tuple(one for one in others if one) for name, others in used.items()}


def _is_loaded(loaded: str, name: str) -> bool:
    """What is built into the kernel has no such file."""
    return os.path.exists(f"{loaded}/{name}/initstate")


def _module(name: str, files: dict[str, str], taint: str, used_by: tuple[str, ...]) -> Entry:
    notes = [TAINTS.get(letter, letter) for letter in taint]
    program = files.get(name) if files else None
    return Entry(
        "module", name, MODULES, key="loaded", program=program if program is not None else (None if not files else ""),
        user="kernel", when="now", state=taint, started_by=used_by, notes=notes,
    )  # fmt: skip


def _taint(loaded: str, name: str) -> str:
    try:
        with open(f"{loaded}/{name}/taint", encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def _module_files(system: System) -> dict[str, str]:
    """Files of modules by name; empty when the kernel's folder of them is not there."""
    folder = f"/lib/modules/{os.uname().release}"
    found: dict[str, str] = {}
    file = system.at(f"{folder}/modules.dep")
    for line in system.text(file).split("\n") if file is not None else ():
        path = line.partition(":")[0]
        if path:
            name = path.rpartition("/")[2].partition(".")[0].replace("-", "_")
            found[name] = f"{folder}/{path}"
    return found


def mounts(system: System, mountinfo: str = MOUNTINFO) -> Iterator[Entry]:
    """What is mounted now, and how; what lies over a process is said to."""
    found = read_mounts(mountinfo)
    if not found.known:
        system.tally.skip(NO_PROC, MOUNTINFO)
        return
    for one in found.all:
        notes = []
        parts = one.point.split("/")
        if len(parts) > 2 and parts[1] == "proc" and parts[2].isdecimal():
            notes.append("hides a process")
        source = f"{one.source} {one.root}" if one.root != "/" else one.source
        yield Entry(
            "mounted", one.point, MOUNTINFO, key=one.kind, command=f"{source} {one.in_force}".strip(), user="kernel",
            when="now", notes=notes,
        )  # fmt: skip


def programs(system: System) -> Iterator[Entry]:
    """eBPF programs and links that the kernel has, also those that no file pins and no process holds."""
    try:
        for program in bpf.programs():
            started = _since_boot(program.loaded)
            yield Entry(
                "ebpf", program.name or program.tag, "bpf(2)", key=program.type, user=system.user_name(program.uid),
                when=f"loaded {started}", notes=[f"id {program.number}", f"tag {program.tag}"],
            )  # fmt: skip
        for link in bpf.links():
            yield Entry(
                "ebpf",
                f"link {link.number}",
                "bpf(2)",
                key="link",
                user="kernel",
                when="now",
                notes=[f"of program {link.program}"],
            )
    except OSError as error:
        system.tally.failed(NO_BPF, "bpf(2)", coverage.problem_of(error))


def pins(system: System, mountinfo: str = MOUNTINFO) -> Iterator[Entry]:
    """What is pinned in a bpffs, wherever one is mounted; it lives on without any process."""
    found = read_mounts(mountinfo)
    points = [one.point for one in found.all if one.kind == "bpf"]
    if not found.known:
        system.tally.skip(NO_PROC, MOUNTINFO)
    elif not points:
        system.tally.skip(NO_BPFFS)
    for point in points:
        for file in below(system, point, MAX_DEPTH):
            if not file.is_directory:
                yield Entry("ebpf", file.name, file.path, file.status, key="pinned", user="kernel", when="now")


def _since_boot(nanoseconds: int) -> str:
    return f"{nanoseconds // 1_000_000_000}s after boot"
