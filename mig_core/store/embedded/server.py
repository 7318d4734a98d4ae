"""A private PostgreSQL for machines where nobody set one up: the demonstration, small installations, tests.

It is the real server, started from the programs that :mod:`mig_core.store.embedded.programs` finds, as a child of this
process. It listens on no network address at all: clients come through a Unix socket in a folder that only its owner may
enter, which is also why every role may log in without a password. The rest of :mod:`mig_core.store` sees only its URL.

Layout of the state directory (this class owns all of it)::

    lock                held by every process of the server, so two can never share the data
    data/               the cluster; made once, reused by the next start
    data.new/           a cluster whose making was interrupted; thrown away
    run/                the socket (or, where its path is too long, `socket-directory` names one elsewhere)
    postgres.log        what the server says; a long one is set aside as `postgres.log.1`
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from mig_core.errors import StoreError, StoreUnavailable
from mig_core.private_server import end, lock_folder
from mig_core.store.embedded.cluster import SUPERUSER, Cluster, in_use
from mig_core.store.embedded.programs import find_postgres
from mig_core.store.embedded.socket_folder import PORT, SocketFolder
from mig_core.store.embedded.unprivileged import unprivileged_identity

if TYPE_CHECKING:
    from types import TracebackType

    from mig_core.store.embedded.programs import PostgresPrograms
    from mig_core.store.embedded.unprivileged import Identity

log = logging.getLogger(__name__)

DATABASE = "mig"
MAX_CONNECTIONS = 200

START_TIMEOUT = 60.0
"""Seconds until a server that does not answer counts as failed; recovery after a crash may take a while."""

STOP_STEPS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Signals and the seconds they get: an orderly stop, one without a checkpoint, the end."""

LOG_LIMIT = 10 * 2**20
"""Bytes of log above which a start sets the log aside."""

NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedPostgres:
    """One server in one state directory. Not thread-safe.

    The server ends when the *thread* that called :meth:`start` ends (the kernel's parent-death signal works by thread):
    start it from the main thread, or from one that lives as long as the server should.

    Args:
        state_dir: Folder that belongs to this server alone; made when missing, closed to others.
        bin_dir: Folder of PostgreSQL programs to use instead of the ones found.
        durable: False gives up safety against power loss for speed. For tests only.
        lock_wait: Seconds to wait for another server on the same state directory, which may just be stopping.
    """

    def __init__(
        self, state_dir: Path, *, bin_dir: Path | None = None, durable: bool = True, lock_wait: float = 10.0
    ) -> None:
        self.state_dir = Path(state_dir).absolute()
        self.log_path = self.state_dir / "postgres.log"
        self.durable = durable
        self._bin_dir = bin_dir
        self._lock_wait = lock_wait
        self._cluster = Cluster(self.state_dir)
        self._socket_folder = SocketFolder(self.state_dir)
        self._programs: PostgresPrograms | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def source(self) -> PostgresPrograms:
        """Which PostgreSQL is used: path, version and why (``str()`` is a line for people). Raises as find_postgres."""
        if self._programs is None:
            self._programs = find_postgres(self._bin_dir)
        return self._programs

    @property
    def pid(self) -> int | None:
        """Process id of the server, or None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def url(self, role: str = SUPERUSER, database: str = DATABASE) -> str:
        """libpq connection URL for ``role``; usable by the account that started the server (and by root) only.

        Raises:
            StoreUnavailable: the socket's place is not known because the server does not run.
        """
        folder = quote(str(self._socket_folder.path()), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={folder}&port={PORT}"

    def start(self) -> None:
        """Start the server, wait until it answers queries, make the database ``mig``. Does nothing if it runs already.

        Raises:
            StoreUnavailable: no PostgreSQL here, or it did not come up; carries the end of its log.
            Conflict: another process runs a server on this state directory.
            StoreError: the data was made by another major version.
        """
        if self.pid is not None:
            return
        self.stop()
        programs = self.source
        began = time.monotonic()
        try:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            identity = unprivileged_identity(self.state_dir)
            identity.own(self.state_dir)
            self._lock = self._take_lock()
            self._cluster.make_ready(programs, identity, self._environment(), durable=self.durable)
            self._process = self._launch(programs, identity, self._socket_folder.make(identity))
            self._wait_until_ready(self._process)
        except OSError as error:
            self.stop()
            raise StoreUnavailable(f"embedded PostgreSQL in {self.state_dir}: {error}") from error
        except BaseException:
            self.stop()
            raise
        log.info("%s runs in %s (pid %s, %.2f s)", programs, self.state_dir, self.pid, time.monotonic() - began)

    def stop(self) -> None:
        """Stop the server: orderly first, by force at last. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            end(process, STOP_STEPS)
            self._socket_folder.forget()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def run_sql(self, statements: str, *, database: str = DATABASE) -> str:
        """Run statements as the superuser and return rows, columns parted by ``|``. For set-up, not for the product.

        Raises:
            StoreError: the server refused one of them; those after it were not run.
        """
        return run_sql(self.source, self.url(database=database), statements)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> int:
        lock = lock_folder(self.state_dir, wait=self._lock_wait)
        if lock is None:
            raise in_use(self.state_dir, self._cluster.recorded_pid())
        return lock

    def _launch(self, programs: PostgresPrograms, identity: Identity, socket_folder: Path) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        folder = str(socket_folder).replace('"', '""')
        settings = [
            "listen_addresses=",
            f'unix_socket_directories="{folder}"',
            "unix_socket_permissions=0700",
            f"port={PORT}",
            f"max_connections={MAX_CONNECTIONS}",
            "logging_collector=off",
            "log_destination=stderr",
            "log_checkpoints=off",
            "log_line_prefix=%m [%p] %u@%d ",
            *(() if self.durable else NOT_DURABLE),
        ]
        argv = [programs.program("postgres"), "-D", str(self._cluster.path)]
        for setting in settings:
            argv += ["-c", setting]
        if self.log_path.is_file() and self.log_path.stat().st_size > LOG_LIMIT:
            self.log_path.replace(self.log_path.with_name("postgres.log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        output = os.open(self.log_path, flags, 0o600)
        try:
            return subprocess.Popen(
                identity.command(argv, pdeathsig="INT"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.state_dir,
                pass_fds=[self._lock],
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop the server in our own order
            )
        finally:
            os.close(output)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the status the server writes for pg_ctl, then prove it with a query, which makes the database."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._cluster.accepts_connections(process.pid):
            ended = process.poll()
            if ended is not None or time.monotonic() > deadline:
                fate = f"was not ready after {START_TIMEOUT:.0f} s" if ended is None else f"ended with status {ended}"
                raise StoreUnavailable(
                    f"embedded PostgreSQL {fate}: {self._log_tail()}", next_step=f"the whole log is {self.log_path}"
                )
            time.sleep(0.02)
        make = f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS"
        self.run_sql(f"{make} (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n", database="postgres")

    def _log_tail(self) -> str:
        with self.log_path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
            return file.read().decode("utf-8", "replace").strip() or "it wrote no log"

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: PGHOST, PGOPTIONS, PGDATA and the like would change what is started."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.state_dir), "LC_ALL": "C", "TZ": "UTC"}


def run_sql(programs: PostgresPrograms, url: str, statements: str) -> str:
    """Run statements through psql, stopping at the first error, and return rows without headings.

    Raises:
        StoreError: psql failed; carries what it said.
    """
    argv = [programs.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PGCONNECT_TIMEOUT": "10", "PGCLIENTENCODING": "UTF8"}
    done = subprocess.run(
        argv, input=statements, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    if done.returncode != 0:
        raise StoreError(f"psql: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
