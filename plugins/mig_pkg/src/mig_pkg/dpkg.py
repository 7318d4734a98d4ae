"""Source: dpkg. Its status file is read directly; a ``dpkg`` on the PATH that is a script is asked instead.

Such a script may point dpkg anywhere (``--admindir``), and only running it tells. ``status_file`` knows the format.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import program, reasons, status_file, status_list
from mig_pkg.program import ProgramFailed
from mig_pkg.records import lines, records, records_of
from mig_pkg.source import Source
from mig_pkg.status_file import StatusFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site
    from mig_pkg.package import Package

ADMIN_DIRECTORY = "/var/lib/dpkg"
DISTROLESS = "status.d"
"""A directory that some container images have instead of the status file, with one record in each file."""
MAX_STATUS_BYTES = 256 << 20
MAX_UPDATES = 1000
_MAX_LINE = 1 << 16


def installed(site: Site) -> Iterator[Package] | None:
    """The packages, sorted by name as ``dpkg -l`` lists them; None when there is no dpkg here."""
    command = program.on_path("dpkg") if site.tree.is_own else ""
    if command:
        directory = admin_directory()
        if not program.is_wrapper(command) and has_database(site, directory):
            return _from_files(site, directory)
        return _from_program(site, command)
    if not has_database(site, ADMIN_DIRECTORY) or not program.allows(site, "dpkg"):
        return None
    return _from_files(site, ADMIN_DIRECTORY)


def admin_directory() -> str:
    """Where dpkg itself looks: ``$DPKG_ADMINDIR``, or its usual directory below ``$DPKG_ROOT``."""
    return os.environ.get("DPKG_ADMINDIR") or os.environ.get("DPKG_ROOT", "") + ADMIN_DIRECTORY


def has_database(site: Site, directory: str) -> bool:
    """Whether the directory holds dpkg's database."""
    return any(site.tree.exists(f"{directory}/{name}") for name in ("status", DISTROLESS))


def _from_files(site: Site, directory: str) -> Iterator[Package]:
    """Reads the status file and the updates to it that dpkg has not yet merged."""
    status = StatusFile(site.tally)
    if site.tree.exists(f"{directory}/status"):
        _read(site, f"{directory}/status", status)
    for name in _names(site, f"{directory}/updates", MAX_UPDATES):
        if name.isascii() and name.isdigit():
            _read(site, f"{directory}/updates/{name}", status)
    for name in _names(site, f"{directory}/{DISTROLESS}", MAX_PACKAGES):
        if not name.endswith(".md5sums"):
            _read(site, f"{directory}/{DISTROLESS}/{name}", status, is_distroless=True)
    native = status.own_architecture or _first_line(site, f"{directory}/arch") or status_file.machine_architecture()
    yield from status.packages(native)


def _read(site: Site, path: str, status: StatusFile, *, is_distroless: bool = False) -> None:
    for record in records_of(site, path, MAX_STATUS_BYTES):
        status.add(record, path, is_distroless=is_distroless)


def _names(site: Site, path: str, limit: int) -> list[str]:
    names: list[str] = []
    with site.booked(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = site.tree.names(path)
    if len(names) > limit:
        site.tally.failed(reasons.TOO_LARGE, path, f"has more than {limit} entries")
    return names[:limit]


def _first_line(site: Site, path: str) -> str:
    try:
        return site.tree.head(path, 1000).split(b"\n")[0].decode("ascii", "replace").strip()
    except OSError:
        return ""


def _from_program(site: Site, command: str) -> Iterator[Package]:
    """Asks for the whole database (dpkg 1.19 and newer can), else for the list."""
    status = StatusFile(site.tally)
    problem = ""
    try:
        for record in records(program.output((command, "-s"), site.remaining)):
            status.add(record, command, may_fail=True)
    except ProgramFailed as failure:
        problem = str(failure)
    if status.count and not problem:
        native = status.own_architecture or _asked_architecture(site, command) or status_file.machine_architecture()
        yield from status.packages(native)
        return
    try:
        yield from status_list.packages(
            lines(program.output((command, "-l"), site.remaining), _MAX_LINE), command, site.tally
        )
    except ProgramFailed as failure:
        site.tally.failed(reasons.FAILED, command, str(failure))


def _asked_architecture(site: Site, command: str) -> str:
    try:
        return program.first_line((command, "--print-architecture"), site.remaining)
    except ProgramFailed:
        return ""


SOURCE = Source(
    "dpkg",
    ("status", "updates/*", "status.d/*"),
    (ADMIN_DIRECTORY,),
    ("source", "sourceversion", "state", "selection", "reinstall"),
    installed,
)
