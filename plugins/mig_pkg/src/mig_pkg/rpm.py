"""Source: rpm. The endpoint's own database is asked through its ``rpm`` program; others are read and left alone.

``rpm_files`` reads a database without changing it. Container images of Azure Linux keep a list of what was installed
instead of a database; it is read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import program, reasons, records, rpm_files
from mig_pkg.package import Package, is_usable, text
from mig_pkg.program import ProgramFailed
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.packages.site import Site

FORMAT = "%{NAME} %{EVR} %{ARCH} %{SOURCERPM}\\n"
QUERY = ("-qa", "--queryformat", FORMAT)
DIRECTORIES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
"""Where databases lie; the last is rpm-ostree's."""
DATABASES = (rpm_files.SQLITE, *rpm_files.OTHERS)
MANIFESTS = "/var/lib/rpmmanifest"
MANIFEST = f"{MANIFESTS}/container-manifest-2"
"""A line a package, of ten fields with tabs between them (Azure Linux's distroless images)."""
MAX_MANIFEST = 64 << 20
_UNKNOWN = "?"
_SUFFIXES = (".src.rpm", ".nosrc.rpm")
_MAX_LINE = 1 << 14


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in each database's own order; None when there is none, though the program may be there."""
    command = program.on_path("rpm")
    own = _own_directory(site, command) if site.tree.is_own and command else ""
    others = [] if own == _UNKNOWN else [one for one in _databases(site) if one != own]
    manifest = site.tree.exists(MANIFEST)
    if not own and not others and not manifest:
        return None
    if not own and not program.allows(site, "rpm"):
        return None
    return _all(site, command, own, others, manifest=manifest)


def _all(site: Site, command: str, own: str, others: list[str], *, manifest: bool) -> Iterator[Package]:
    if own:
        lines = records.lines(program.output((command, *QUERY), site.remaining), _MAX_LINE)
        yield from _packages(site, command, lines, failing=reasons.FAILED)
    for directory in others:
        yield from _packages(site, directory, _read(site, command, directory))
    if manifest:
        listed = records.lines(site.tree.chunks(MANIFEST, MAX_MANIFEST), _MAX_LINE)
        yield from _packages(site, MANIFEST, map(_of_manifest, listed), limit=MAX_MANIFEST)


def _databases(site: Site) -> list[str]:
    """The directories that hold a database, each once, however many links lead to it."""
    return [
        directory
        for directory in site.tree.distinct(DIRECTORIES)
        if any(site.tree.exists(f"{directory}/{name}") for name in DATABASES)
    ]


def _own_directory(site: Site, command: str) -> str:
    """The directory that the program itself uses, as :func:`_databases` writes it; empty when no database is there.

    To ask for packages where there is no database would make an empty one.
    """
    try:
        directory = program.first_line((command, "--eval", "%{_dbpath}"), site.remaining)
    except ProgramFailed:
        return _UNKNOWN  # asking for packages will say what is wrong
    if not directory.startswith("/"):
        return _UNKNOWN
    if not any(site.tree.exists(f"{directory}/{name}") for name in DATABASES):
        return ""
    real = site.tree.real(directory)
    return next((one for one in _databases(site) if site.tree.real(one) == real), directory)


def _read(site: Site, command: str, directory: str) -> Iterator[bytes | None]:
    """The lines of a database that is not asked through its own program."""
    if site.tree.exists(f"{directory}/{rpm_files.SQLITE}"):
        yield from rpm_files.sqlite_lines(site, directory)
    elif command:
        yield from records.lines(rpm_files.program_pieces(site, (command, *QUERY), directory), _MAX_LINE)
    else:
        raise ProgramFailed("reading it needs the rpm program, which is not on the PATH")


def _packages(
    site: Site,
    where: str,
    lines: Iterable[bytes | None],
    *,
    failing: Reason = reasons.UNREADABLE,
    limit: int = rpm_files.MAX_DATABASE,
) -> Iterator[Package]:
    try:
        with site.booked(where, f"is larger than {limit} bytes"):
            for count, line in enumerate(lines):
                if count >= MAX_PACKAGES:
                    site.tally.skip(reasons.TOO_MANY, where)
                    return
                package = None if line is None else _package(line)
                if package is None:
                    site.tally.skip(reasons.DAMAGED, where)
                else:
                    yield package
    except ProgramFailed as failure:
        site.tally.failed(failing, where, str(failure))


def _of_manifest(line: bytes) -> bytes | None:
    """A line of the manifest as :data:`FORMAT` has it."""
    fields = line.split(b"\t")
    if len(fields) < 10:
        return None
    epoch = fields[8]
    evr = fields[1] if epoch in (b"", b"0", b"(none)") else epoch + b":" + fields[1]
    return b" ".join((fields[0], evr, fields[7], fields[9]))


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


SOURCE = Source(
    "rpm",
    ("rpm -qa", *DATABASES, "container-manifest-2"),
    (*DIRECTORIES, MANIFESTS),
    ("source", "sourceversion"),
    installed,
)
