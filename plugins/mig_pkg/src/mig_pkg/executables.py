"""Sources: what Go and Rust programs say they were built from. Only below the paths asked for; Go's linker always says
it, Rust programs where they were built with cargo-auditable; ``cargo install`` notes what it has installed.

Every regular file is a program that begins as an ELF file, whatever its name and mode. ``elf``, ``go_build`` and
``cargo_audit`` know the forms, ``cargo_installs`` cargo's note.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Kind
from mig_pkg import cargo_audit, cargo_installs, go_build, reasons
from mig_pkg.elf import MAGIC, Elf, NotElf
from mig_pkg.package import Package, is_usable
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search

    Read = Callable[[Elf, str], Iterator[Package | None]]
    """Gives the packages in an open program (headers, path); None for one whose name or version is none."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


def look_for_go(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The modules in the Go programs of a directory."""
    return _programs(search, folder, _go)


def look_for_rust(search: Search[Package], folder: Folder) -> Iterator[Package]:
    """The crates in the Rust programs of a directory, and those that ``cargo install`` has noted there."""
    if cargo_installs.RECORD in folder.names:
        yield from _installed(search, folder)
    yield from _programs(search, folder, _rust)


def _installed(search: Search[Package], folder: Folder) -> Iterator[Package]:
    path, _ = folder.inner(cargo_installs.RECORD)
    raw = search.content(folder, cargo_installs.RECORD, cargo_installs.MAX_RECORD, optional=True)
    try:
        crates = sorted(set(cargo_installs.crates(raw))) if raw is not None else []
    except ValueError:
        search.skip(reasons.DAMAGED, path)
        return
    for crate in crates:
        yield from search.give(_crate(crate, path), path)


def _programs(search: Search[Package], folder: Folder, read: Read) -> Iterator[Package]:
    for name in sorted(set(folder.names).difference(folder.directories, folder.links)):
        path, real = folder.inner(name)
        search.check_time()
        for package in _program(search, path, real, read):
            yield from search.give(package, path)


def _program(search: Search[Package], path: str, real: str, read: Read) -> Iterator[Package]:
    try:
        if not stat.S_ISREG(os.lstat(real).st_mode):
            return
        descriptor = os.open(real, _FLAGS)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            search.failed(path, error)
        return
    try:
        if os.pread(descriptor, len(MAGIC), 0) == MAGIC:
            for package in read(Elf(descriptor), path):
                if package is None:
                    search.skip(reasons.DAMAGED, path)
                else:
                    yield package
    except NotElf:
        search.skip(reasons.DAMAGED, path)
    except (go_build.OlderForm, cargo_audit.Damaged):
        search.skip(reasons.DAMAGED, path)
    except OSError as error:
        search.failed(path, error)
    finally:
        os.close(descriptor)


def _go(elf: Elf, path: str) -> Iterator[Package | None]:
    info = go_build.build_info(elf)
    for module in go_build.modules(info) if info is not None else ():
        if is_usable(module.name, module.version):
            yield Package(name=module.name, plain=module.name, version=module.version, type="go", path=path)
        else:
            yield None


def _rust(elf: Elf, path: str) -> Iterator[Package | None]:
    for crate in cargo_audit.crates(elf) or ():
        yield _crate(crate, path)


def _crate(crate: cargo_audit.Crate, path: str) -> Package | None:
    if not is_usable(crate.name, crate.version):
        return None
    return Package(name=crate.name, plain=crate.name, version=crate.version, type="cargo", path=path)


GO = Source("go", (".go.buildinfo",), (), ("path",), kind=Kind((), look_for_go, everywhere=False))
CARGO = Source("cargo", (".dep-v0", ".crates.toml"), (), ("path",), kind=Kind((), look_for_rust, everywhere=False))
