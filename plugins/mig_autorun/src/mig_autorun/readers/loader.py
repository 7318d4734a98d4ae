"""What the dynamic loader takes into programs, and environments by which code gets into them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.readers.reading import Look, entry_of, lines
from mig_autorun.systemd.unit_file import settings, words
from mig_autorun.systemd.units import INJECTING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

LIBRARIES = (
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
    "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib",
)  # fmt: skip
"""Where a library's bare name is looked for, before what ld.so.conf adds."""
PLATFORM = ("lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib")
"""What ``$LIB`` may stand for."""
_PARTS = re.compile(r"[ :\t\n]+")
_VARIABLE = re.compile(
    r"(?:export\s+|declare\s+-x\s+|setenv\s+)?([A-Za-z_]\w*)(?:\s+DEFAULT=|\s+OVERRIDE=|=|\s+)(.*)", re.ASCII
)


def preload(found: Found, look: Look) -> Iterator[Entry]:
    """``/etc/ld.so.preload``: parted by blanks, colons, tabs and lines; ``#`` to the end of a line.

    Nothing after a NUL is read. A comma parts nothing, and a carriage return belongs to the name (glibc 2.36 and 2.41).
    """
    text = look.system.text(found.file).partition("\0")[0]
    for number, line in enumerate(text.split("\n"), 1):
        for name in _PARTS.split(line.partition("#")[0]):
            if name:
                program = library(look, name)
                yield entry_of(found, name.rpartition("/")[2], line=number, command=name, program=program)


def library(look: Look, name: str, folders: tuple[str, ...] = LIBRARIES) -> str | None:
    """Where a library lies; its name when it is in no folder, None for one relative to a folder nobody knows here."""
    if name.startswith("/"):
        candidates = (
            [name.replace("${LIB}", "$LIB").replace("$LIB", one) for one in PLATFORM] if "LIB" in name else [name]
        )
        return next((one for one in candidates if look.system.at(one) is not None), candidates[0])
    if "/" in name:
        return None
    for folder in folders:
        if look.system.at(f"{folder}/{name}") is not None:
            return f"{folder}/{name}"
    return name


def library_path(found: Found, look: Look) -> Iterator[Entry]:
    """ld.so.conf: folders in their order, ``include`` and ``hwcap`` lines left to the files that they name."""
    separators = re.compile(r"[:\n]") if found.file.name.endswith(".path") else re.compile(r"[\s,:]+")
    for number, line in lines(look, found):
        bare = line.partition("#")[0].strip()
        if bare.startswith(("include ", "include\t", "hwcap ")):
            continue
        for folder in separators.split(bare):
            if folder:
                yield entry_of(
                    found,
                    folder.partition("=")[0],
                    line=number,
                    command=folder,
                    key="folder",
                    program=folder.partition("=")[0],
                )


def environment(found: Found, look: Look) -> Iterator[Entry]:
    """Variables by which code gets into programs; others are not told."""
    if found.file.is_directory:
        return
    for number, line in lines(look, found):
        fits = _VARIABLE.match(line)
        if fits is None or not line.removeprefix("export ").strip().startswith((*INJECTING, "PATH=")):
            continue
        if fits[1] == "PATH" and found.place.name == "defaults":
            continue
        yield entry_of(found, fits[1], line=number, key=fits[1], command=line, program=_first(fits[2], look, fits[1]))


def _first(value: str, look: Look, name: str) -> str | None:
    """The file that a variable names, where it names one."""
    first = re.split(r"[:\s]", value.strip("\"'"))[0]
    if name == "LD_PRELOAD" and first:
        return library(look, first)
    return first if first.startswith("/") and name in ("BASH_ENV", "ENV", "LD_AUDIT", "PYTHONSTARTUP") else ""


def manager_environment(found: Found, look: Look) -> Iterator[Entry]:
    """DefaultEnvironment= and ManagerEnvironment= of systemd-system.conf(5)."""
    if found.file.is_directory:
        return
    for one in settings(look.system.text(found.file), found.file.path):
        if one.section == "Manager" and one.key in ("DefaultEnvironment", "ManagerEnvironment"):
            for word in words(one.value):
                name, _, value = word.partition("=")
                if word.startswith(INJECTING):
                    yield entry_of(
                        found, name, line=one.line, key=one.key, command=word, program=_first(value, look, name)
                    )
