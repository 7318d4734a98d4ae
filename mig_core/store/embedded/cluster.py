"""The data directory of the embedded PostgreSQL: made once, checked before every start.

PostgreSQL calls it a cluster. Making one takes half a second and may be interrupted, so it is made beside its place and
moved there when it is whole. Used by :mod:`mig_core.store.embedded.server` only, which holds the lock that keeps a
second server of ours away.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import Conflict, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.store.embedded.programs import PostgresPrograms
    from mig_core.store.embedded.unprivileged import Identity

log = logging.getLogger(__name__)

SUPERUSER = "postgres"


class Cluster:
    """The data directory below ``state_dir``, which must be absolute."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "data"
        self._unfinished = state_dir / "data.new"

    def make_ready(
        self, programs: PostgresPrograms, identity: Identity, environment: Mapping[str, str], *, durable: bool
    ) -> None:
        """Make the cluster, or check that the one there fits and is free. The state directory's lock must be held.

        Raises:
            StoreUnavailable: it cannot be made.
            StoreError: it was made by another major version.
            Conflict: a server that somebody started by other means runs on it.
        """
        if not self.path.exists():
            self._make(programs, identity, environment, durable=durable)
            return
        version_file = self.path / "PG_VERSION"
        made_by = version_file.read_text(encoding="ascii").strip() if version_file.is_file() else "something else"
        if made_by != str(programs.major):
            raise StoreError(
                f"{self.path} was made by PostgreSQL {made_by}, found is {programs}",
                next_step=f"set MIG_PG_BIN to the programs of PostgreSQL {made_by}, or choose another state directory",
            )
        pid = self.recorded_pid()
        if pid is None:
            return
        if _works_in(pid, self.path):
            raise in_use(self.path.parent, pid)
        # The lock says that no server of ours is left: this pid is gone, or the system gave it to a stranger since.
        log.warning("%s: the last server (pid %s) did not stop in order; this one recovers", self.path, pid)
        (self.path / "postmaster.pid").unlink(missing_ok=True)

    def recorded_pid(self) -> int | None:
        """The server's process id as it wrote it down; left behind when it was killed."""
        lines = self._pid_file_lines()
        return int(lines[0]) if lines and lines[0].isdecimal() else None

    def accepts_connections(self, pid: int) -> bool:
        """Whether server ``pid`` says that it is ready: line 8 of postmaster.pid, as pg_ctl reads it (miscadmin.h)."""
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _make(
        self, programs: PostgresPrograms, identity: Identity, environment: Mapping[str, str], *, durable: bool
    ) -> None:
        if self._unfinished.exists():
            shutil.rmtree(self._unfinished)
        self._unfinished.mkdir(mode=0o700)
        identity.own(self._unfinished)
        argv = [programs.program("initdb"), "-D", str(self._unfinished), "-U", SUPERUSER, "-E", "UTF8"]
        argv += ["--lc-messages=C", "--auth-local=trust", "--auth-host=reject"]
        argv += [] if durable else ["--no-sync"]
        # Order by code point and letters of every language, as in Python. An old C library lacks this locale.
        for locale in ("C.UTF-8", "C"):
            made = subprocess.run(
                identity.command([*argv, f"--locale={locale}"]),
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                cwd=self.path.parent,
                check=False,
            )
            if made.returncode == 0:
                self._unfinished.rename(self.path)
                return
            if "locale" not in made.stderr:
                break
        raise StoreUnavailable(
            f"initdb of {programs} failed in {self.path.parent}: {made.stderr.strip()[-2000:]}",
            next_step="see what initdb says above",
        )

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.path / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []


def in_use(state_dir: Path, pid: int | None) -> Conflict:
    """The error for a state directory that another server uses."""
    return Conflict(
        f"{state_dir} is in use by another PostgreSQL (pid {pid or 'unknown'})",
        next_step="stop what started it, or choose another state directory",
    )


def _works_in(pid: int, data: Path) -> bool:
    """Whether process ``pid`` has ``data`` as its working directory, as every PostgreSQL process has its cluster."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False
