"""Sources: what Go and Rust programs say they were built from. Only below the paths asked for; Go's linker always says
it, Rust programs where they were built with cargo-auditable.

Every regular file is a program that begins as an ELF file, whatever its name and mode. ``elf``, ``go_build`` and
``cargo_audit`` know the forms.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Search
from mig_pkg import cargo_audit, go_build, reasons
from mig_pkg.elf import MAGIC, Elf, NotElf
from mig_pkg.package import Package, is_usable
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.site import Site

    Read = Callable[[int, Elf, str], Iterator[Package]]
    """Gives the packages in an open program (descriptor, headers, path)."""

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


def go_modules(site: Site) -> Iterator[Package] | None:
    """The modules in Go programs below the paths asked for; None when no path was."""
    return _programs(site, _go)


def crates(site: Site) -> Iterator[Package] | None:
    """The crates in Rust programs below the paths asked for; None when no path was."""
    return _programs(site, _rust)


def _programs(site: Site, read: Read) -> Iterator[Package] | None:
    return _all(site, read) if site.paths else None


def _all(site: Site, read: Read) -> Iterator[Package]:
    def look(_: Search[Package], directory: str, names: list[str]) -> Iterator[Package]:
        try:
            real = site.tree.real(directory)
        except OSError:
            return
        for name in names:
            site.check_time()
            yield from _program(site, f"{directory.rstrip('/')}/{name}", f"{real.rstrip('/')}/{name}", read)

    directories = []
    for path in site.paths:
        try:
            real = site.tree.real(path)
        except OSError:
            real = path
        if os.path.isfile(real):
            yield from _program(site, path, real, read)
        else:
            directories.append(path)
    yield from Search(replace(site, paths=tuple(directories)), look).packages(()) or ()


def _program(site: Site, path: str, real: str, read: Read) -> Iterator[Package]:
    try:
        if not stat.S_ISREG(os.lstat(real).st_mode):
            return
        descriptor = os.open(real, _FLAGS)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            site.tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
        return
    try:
        if os.pread(descriptor, len(MAGIC), 0) == MAGIC:
            yield from read(descriptor, Elf(descriptor), path)
    except NotElf:
        site.tally.skip(reasons.DAMAGED, path)
    except (go_build.OlderForm, cargo_audit.Damaged):
        site.tally.skip(reasons.DAMAGED, path)
    except OSError as error:
        site.tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
    finally:
        os.close(descriptor)


def _go(descriptor: int, elf: Elf, path: str) -> Iterator[Package]:
    info = go_build.build_info(descriptor, elf)
    for module in go_build.modules(info) if info is not None else ():
        if is_usable(module.name, module.version):
            yield Package(name=module.name, plain=module.name, version=module.version, type="go", path=path)


def _rust(descriptor: int, elf: Elf, path: str) -> Iterator[Package]:
    for crate in cargo_audit.crates(descriptor, elf) or ():
        if is_usable(crate.name, crate.version):
            yield Package(name=crate.name, plain=crate.name, version=crate.version, type="cargo", path=path)


GO = Source("go", (".go.buildinfo",), (), ("path",), go_modules)
CARGO = Source("cargo", (".dep-v0",), (), ("path",), crates)
