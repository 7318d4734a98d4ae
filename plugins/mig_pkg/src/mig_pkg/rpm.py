"""Source: rpm, through the endpoint's ``rpm`` program; its database has had four formats, which only rpm knows all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_pkg import program
from mig_pkg import tally as books
from mig_pkg.package import Package, is_usable, text
from mig_pkg.program import ProgramFailed
from mig_pkg.status_file import MAX_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_pkg.site import Site

FORMAT = "%{NAME} %{EVR} %{ARCH} %{SOURCERPM}\\n"
QUERY = ("-qa", "--queryformat", FORMAT)
DIRECTORIES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
DATABASES = ("rpmdb.sqlite", "Packages.db", "Packages")
_SUFFIXES = (".src.rpm", ".nosrc.rpm")
_MAX_LINE = 1 << 14


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in rpm's own order; None when there is no rpm here, or only the program and no database."""
    command = program.on_path("rpm")
    database = next((one for one in DIRECTORIES if _is_database(site, one)), "")
    if site.tree.is_own and command:
        return _query(site, (command, *QUERY)) if database or _has_database(site, command) else None
    if not database:
        return None
    if not command:
        if not site.tree.is_own or site.allows("rpm"):
            site.tally.failed(books.UNREADABLE, database, "reading it needs the rpm program, which is not on the PATH")
        return None
    return _query(site, (command, "--dbpath", site.tree.real(database), *QUERY))


def _is_database(site: Site, directory: str) -> bool:
    """Whether the directory holds a database; there may be an empty second one beside it."""
    return any(site.tree.exists(f"{directory}/{name}") for name in DATABASES)


def _has_database(site: Site, command: str) -> bool:
    """Whether the database that the program would use is there: to ask for packages would make an empty one."""
    try:
        directory = program.first_line((command, "--eval", "%{_dbpath}"), site.remaining)
    except ProgramFailed:
        return True  # asking for packages will say what is wrong
    return not directory.startswith("/") or _is_database(site, directory)


def _query(site: Site, command: tuple[str, ...]) -> Iterator[Package]:
    buffer = b""
    count = 0
    try:
        for piece in program.output(command, site.remaining):
            *lines, buffer = (buffer + piece).split(b"\n")
            for line in lines:
                package = _package(line)
                if package is None:
                    site.tally.skip(books.DAMAGED, command[0])
                    continue
                count += 1
                if count > MAX_PACKAGES:
                    site.tally.skip(books.TOO_MANY, command[0])
                    return
                yield package
            buffer = buffer[:_MAX_LINE]
    except ProgramFailed as failure:
        site.tally.failed(books.FAILED, command[0], str(failure))


def _package(line: bytes) -> Package | None:
    words = text(line).split()
    if len(words) < 3 or not is_usable(words[0], words[1], words[2]):
        return None
    name, version, arch = words[:3]
    source, sourceversion = _source(words[3] if len(words) > 3 else "")
    return Package(
        name=name, plain=name, version=version, type="rpm", arch=arch, source=source, sourceversion=sourceversion
    )


def _source(file: str) -> tuple[str, str]:
    """Name and version in the name of a source package: ``bash-5.1-2.el9.src.rpm``."""
    for suffix in _SUFFIXES:
        if file.endswith(suffix):
            parts = file.removesuffix(suffix).rsplit("-", 2)
            if len(parts) == 3:
                return parts[0], f"{parts[1]}-{parts[2]}"
    return "", ""
