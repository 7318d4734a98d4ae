"""A private RabbitMQ for machines where nobody set one up: the demonstration and tests of the `amqp` relay.

It is Debian's real RabbitMQ, started from its programs as a child of this process, as any account, without systemd and
without touching the system's own broker. It listens on loopback only. One virtual host `mig`, one account `scheduler`;
every other login is decided by mig-api through RabbitMQ's own HTTP plugin (design section 2). Exchanges and queues are
declared by the relay driver, not here.

Layout of the state directory (this class owns all of it; every file is private)::

    credentials.json    password of `scheduler`; kept between starts
    ports.json          ports of the last start, taken again if they are still free
    lock                held by every process of the broker, so two can never share the data
    rabbitmq.conf, definitions.json, enabled_plugins    written anew by every start
    home/               the Erlang cookie
    data/  log/         the broker's own
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from mig_core.errors import ConfigurationError, RelayUnavailable
from mig_core.private_server import end, lock_folder
from mig_core.relay.private_rabbitmq_files import (
    SCHEDULER,
    VIRTUAL_HOST,
    broker_environment,
    checked_auth_url,
    write_configuration,
    write_private,
)

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's start script that does not insist on the account `rabbitmq` (the one in /usr/sbin does)."""

START_TIMEOUT = 90.0
"""Seconds until a broker that does not answer counts as failed. 4 to 8 s are usual."""

STOP_STEPS = ((signal.SIGTERM, 30.0), (signal.SIGKILL, 5.0))
"""Signals and the seconds they get."""

_PORTS = range(20_000, 32_000)


class PrivateRabbitMQ:
    """One broker in one state directory. Not thread-safe.

    The broker ends when the *thread* that called :meth:`start` ends (the kernel's parent-death signal works by thread):
    start it from the main thread, or from one that lives as long as the broker should.

    Args:
        state_dir: Folder that belongs to this broker alone; made when missing, closed to others.
        auth_url: Where mig-api answers RabbitMQ's questions (`/user`, `/vhost`, `/resource` and `/topic` are appended),
            like ``http://127.0.0.1:8080/api/v1/relay/rabbitmq``. None: nobody but `scheduler` can log in.
        lock_wait: Seconds to wait for another broker on the same state directory, which may just be stopping.
    """

    def __init__(self, state_dir: Path, *, auth_url: str | None = None, lock_wait: float = 30.0) -> None:
        self.state_dir = Path(state_dir).absolute()
        self._auth_url = checked_auth_url(auth_url)
        self._lock_wait = lock_wait
        self._port: int | None = None
        self._password = ""
        self._epmd: subprocess.Popen[bytes] | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @staticmethod
    def available() -> bool:
        """Whether this machine has what it takes: Debian's rabbitmq-server and Erlang's epmd."""
        return os.access(SERVER, os.X_OK) and shutil.which("epmd") is not None

    @staticmethod
    def version() -> str:
        """The installed RabbitMQ's version, from its folder's name; empty when unknown."""
        return max(
            (path.name.rpartition("-")[2] for path in SERVER.parents[1].glob("lib/rabbitmq_server-*")), default=""
        )

    @property
    def source(self) -> str:
        """Which RabbitMQ is used, as a line for people."""
        return f"RabbitMQ {self.version()} (system: {SERVER.parent})"

    @property
    def pid(self) -> int | None:
        """Process id of the broker, or None while it does not run."""
        return self._broker.pid if self._broker is not None and self._broker.poll() is None else None

    @property
    def port(self) -> int:
        """The AMQP port on 127.0.0.1.

        Raises:
            RelayUnavailable: the broker was not started.
        """
        if self._port is None:
            raise RelayUnavailable(f"private RabbitMQ in {self.state_dir} does not run", next_step="start it first")
        return self._port

    @property
    def scheduler_url(self) -> str:
        """AMQP URL with the login of the scheduler. Holds a password: never log it."""
        return self.amqp_url(SCHEDULER, self._password)

    def amqp_url(self, username: str, password: str) -> str:
        """AMQP URL with any login, for the virtual host `mig`."""
        login = f"{quote(username, safe='')}:{quote(password, safe='')}"
        return f"amqp://{login}@127.0.0.1:{self.port}/{VIRTUAL_HOST}"

    def start(self) -> None:
        """Start the broker and return when it speaks AMQP. Does nothing if it runs already.

        Raises:
            RelayUnavailable: RabbitMQ is not installed, or it did not come up; carries the end of its log.
        """
        if self.pid is not None:
            return
        self.stop()
        if not self.available():
            raise RelayUnavailable(
                f"no RabbitMQ here: {SERVER} or epmd is missing", next_step="apt-get install rabbitmq-server"
            )
        began = time.monotonic()
        try:
            for folder in (self.state_dir, *(self.state_dir / name for name in ("home", "data", "log"))):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            self._lock = self._take_lock()
            self._password = self._kept_password()
            ports = self._free_ports()
            self._port = ports["amqp"]
            write_configuration(self.state_dir, port=self._port, password=self._password, auth_url=self._auth_url)
            self._epmd = self._launch(
                [shutil.which("epmd") or "epmd", "-port", str(ports["epmd"]), "-address", "127.0.0.1"], "KILL", ports
            )
            self._broker = self._launch([str(SERVER)], "TERM", ports)
            self._wait_until_ready(self._broker)
        except OSError as error:
            self.stop()
            raise RelayUnavailable(f"private RabbitMQ in {self.state_dir}: {error}") from error
        except BaseException:
            self.stop()
            raise
        log.info("%s runs in %s (pid %s, %.1f s)", self.source, self.state_dir, self.pid, time.monotonic() - began)

    def stop(self) -> None:
        """Stop the broker, then its port mapper (epmd). Does nothing if they do not run."""
        broker, self._broker = self._broker, None
        epmd, self._epmd = self._epmd, None
        for process, steps in ((broker, STOP_STEPS), (epmd, STOP_STEPS[1:])):
            if process is not None:
                end(process, steps)
        self._port = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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
            raise RelayUnavailable(
                f"{self.state_dir} is in use by another private RabbitMQ",
                next_step="stop what started it, or choose another state directory",
            )
        return lock

    def _kept_password(self) -> str:
        path = self.state_dir / "credentials.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return str(kept[SCHEDULER])
        except FileNotFoundError:
            password = secrets.token_urlsafe(32)
            write_private(path, json.dumps({SCHEDULER: password}))
            return password
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                str(path), SCHEDULER, "is not the file that was written here", next_step="delete it"
            ) from error

    def _free_ports(self) -> dict[str, int]:
        """Ports by use: those of the last start where they are free, so that agents find the broker again."""
        path = self.state_dir / "ports.json"
        last: object = None
        with contextlib.suppress(OSError, ValueError):
            last = json.loads(path.read_text(encoding="utf-8"))
        ports: dict[str, int] = {}
        for use in ("amqp", "distribution", "epmd"):
            wanted = last.get(use) if isinstance(last, dict) else None
            ports[use] = free_port(wanted if isinstance(wanted, int) else 0)
        write_private(path, json.dumps(ports))
        return ports

    def _launch(self, argv: list[str], death_signal: str, ports: dict[str, int]) -> subprocess.Popen[bytes]:
        with (self.state_dir / "log" / "console.log").open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", death_signal, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.state_dir,
                env=broker_environment(self.state_dir, ports),
                pass_fds=[] if self._lock is None else [self._lock],
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop the broker in our own order
            )

    def _wait_until_ready(self, broker: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not speaks_amqp(self.port):
            ended = broker.poll()
            if ended is not None or time.monotonic() > deadline:
                fate = f"was not ready after {START_TIMEOUT:.0f} s" if ended is None else f"ended with status {ended}"
                raise RelayUnavailable(
                    f"private RabbitMQ {fate}: {self._log_tail()}",
                    next_step=f"the whole logs are in {self.state_dir / 'log'}",
                )
            time.sleep(0.1)

    def _log_tail(self) -> str:
        tail = ""
        for path in sorted((self.state_dir / "log").glob("*.log")):
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1500))
                tail += file.read().decode("utf-8", "replace")
        return tail.strip() or "it wrote no log"


def speaks_amqp(port: int, *, timeout: float = 2.0) -> bool:
    """Whether an AMQP 0-9-1 broker answers on 127.0.0.1: after the protocol header it sends connection.start.

    Args:
        port: TCP port.
        timeout: Seconds for the whole exchange's single steps.
    """
    # AMQP 0-9-1, 4.2.2 and 4.2.3: header `AMQP` 0 0 9 1; a method frame has type 1, channel 0; class 10 method 10.
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            frame = b""
            while len(frame) < 11 and (more := connection.recv(11 - len(frame))):
                frame += more
    except OSError:
        return False
    return frame[:3] == b"\x01\x00\x00" and frame[7:11] == b"\x00\x0a\x00\x0a"


def free_port(wanted: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A free port of 127.0.0.1, of TCP unless ``kind`` says UDP: the wanted one if it can be had.

    Others lie below the range from which the kernel takes ports by itself (ip(7): from 32768), so that between now and
    the moment a server listens there no connection of anybody gets it.

    Raises:
        RelayUnavailable: none was found.
    """
    for port in (wanted, *random.sample(_PORTS, 100)):
        with socket.socket(type=kind) as probe, contextlib.suppress(OSError, OverflowError):
            if kind == socket.SOCK_STREAM:  # one that only waits for late packets is free; with UDP it would share
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port:
                probe.bind(("127.0.0.1", port))
                return port
    raise RelayUnavailable("no free port on 127.0.0.1")
