"""``mig-api``: reads the settings, puts the parts together, serves until SIGTERM. The only file that imports uvicorn.

One process with one event loop, or several workers (:mod:`.workers`). On SIGTERM or SIGINT every open poll and stream
is answered, then the process ends, within two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import logging
import os
import secrets
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvicorn

from mig_core.api.app import create_app
from mig_core.api.bootstrap import BootstrapSecret
from mig_core.api.check_setup import check_setup
from mig_core.api.clients import TrustedProxies
from mig_core.api.connections import ConnectionLimits, Connections, descriptor_limit, raise_descriptor_limit
from mig_core.api.files import PlatformFiles
from mig_core.api.keys import InvestigatorKeys
from mig_core.api.listener import Listener
from mig_core.api.listening import BACKLOG, address_of, drop_handed_on, hand_on, listening
from mig_core.api.login import MAX_CLOCK_DIFFERENCE
from mig_core.api.module_schemas import module_schemas
from mig_core.api.polls import Waiters
from mig_core.api.relay_protocol import RelayHttpProtocol
from mig_core.api.workers import BEGIN_AGAIN, MOST_WORKERS, PUBLISH_SECONDS, Workers
from mig_core.config.loader import load_settings
from mig_core.config.server import API_FILE, ApiSettings, inline_or_file
from mig_core.dumps import forbid_dumps
from mig_core.errors import ConfigurationError, MigError
from mig_core.logs import start_logging
from mig_core.pgp.gnupg import GnupgKeyring
from mig_core.plugin.manager import PluginManager
from mig_core.renewal import begin_again, until_renewed
from mig_core.soundness import leave, seconds_left, tell
from mig_core.store.examination import look_at_database
from mig_core.store.migrate import upgrade
from mig_core.store.postgres import PostgresStore
from mig_core.store.roles import API, connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from mig_core.api.app import MigApp
    from mig_core.api.connections import Connection
    from mig_core.api.workers import Place
    from mig_core.domain.document import JSON
    from mig_core.plugin.hooks import Answer
    from mig_core.store.base import Store

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than any poll."""
GRACE = 1
"""Seconds that answers may still take once the server stops."""
COLLECTION = (1_000, 20, 40)
"""When Python looks for circular garbage: the last number makes the pass over everything a rare one. Thousands of open
polls are a million live objects; with the usual numbers those passes took a third of the processor time (docs/
performance.md). Young garbage is found as soon as ever."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="mig-api", description="MIG's REST API and https relay.")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"settings (default: {API_FILE}, if present)")
    parser.add_argument("--check", action="store_true", help="try settings, database, keys, disk, addresses, and end")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="with --check: how long at most")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: what the settings say, else 1)")
    parser.add_argument("-V", "--version", action="version", version=f"mig-api {version()}")
    options = parser.parse_args(arguments)
    forbid_dumps()
    path = options.config or (API_FILE if API_FILE.exists() else None)
    try:
        settings = load_settings(ApiSettings, role="api", path=path, environment=os.environ)
        if options.check:
            return _check(settings, options.within)
        _start_log(settings.log_level, settings.log_format)
        raise_descriptor_limit()
        gc.set_threshold(*COLLECTION)
        workers = settings.workers if options.workers is None else options.workers
        _check_workers(workers)
        status = _serve_with(workers, settings, path) if workers > 1 else EXIT_OK
        again = status == BEGIN_AGAIN if workers > 1 else asyncio.run(serve(settings, file=path))
    except MigError as error:
        print(f"mig-api: {error.diagnostics()}", file=sys.stderr)  # noqa: T201  a program's last words
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if again:
        begin_again()
    return status


def _check_workers(number: int) -> None:
    if not 1 <= number <= MOST_WORKERS:
        raise ConfigurationError("api", "workers", f"must be from 1 to {MOST_WORKERS}, got {number}")


def version() -> str:
    """The distribution's version, or ``unknown`` when it is not installed."""
    try:
        return metadata.version("mig-core")
    except metadata.PackageNotFoundError:
        return "unknown"


def _start_log(level: str, form: str) -> None:
    start_logging("api", level, form)
    # Its start and stop are told in our own words.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))


def _check(settings: ApiSettings, seconds: float | None) -> int:
    """Says whether mig-api could start with these settings, and do its work."""

    def files() -> Iterator[str]:
        read = PlatformFiles(settings)
        acl = read.acl()
        yield (
            f"ACL entries for {', '.join(acl.entries) or 'nothing'}" if acl else "no ACL: one signature is enough here"
        )
        secret = read.enrolment_secret()
        yield "agents with the enrolment secret are admitted" if secret else "the settings have no enrolment secret"
        _proxies(settings)

    start_logging("api", "CRITICAL")  # what is wrong is told once
    seen = check_setup(settings, database_url(settings), files, seconds=seconds_left(seconds))
    return leave(EXIT_OK if tell("mig-api", seen, sys.stdout) else EXIT_ERROR, seen)


def _serve_with(workers: int, settings: ApiSettings, file: Path | None) -> int:
    """Listens, and has workers answer; their status."""
    _migrate(settings)
    _proxies(settings)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(listening(one)) for one in settings.addresses]
        drop_handed_on()

        def work(place: Place) -> int:
            try:
                again = asyncio.run(serve(place.share_of(settings), place=place, sockets=sockets, file=file))
            except MigError as error:
                print(f"mig-api: {error.diagnostics()}", file=sys.stderr)  # noqa: T201  a program's last words
                return EXIT_ERROR
            return BEGIN_AGAIN if again else EXIT_OK

        status = Workers(workers, work).run()
        if status == BEGIN_AGAIN:
            hand_on(zip(settings.addresses, sockets, strict=True))
        return status


def _migrate(settings: ApiSettings) -> None:
    database = settings.database
    owner_url = inline_or_file("database.owner_url", database.owner_url, database.owner_url_file)
    if owner_url:
        upgrade(owner_url)


async def serve(
    settings: ApiSettings,
    *,
    place: Place | None = None,
    sockets: Sequence[socket.socket] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    started: Callable[[Server, str], None] = lambda server, address: None,
    limits: ConnectionLimits | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    file: Path | None = None,
) -> bool:
    """Serves until a signal says stop, or ``should_exit`` of the server is set.

    Returns whether to begin again, with other settings; the listening socket is handed on then.

    Args:
        place: which of several workers this is; none: it is alone.
        sockets: that listen already, and are closed by the caller; none: those of the settings.
        started: called once requests are answered, with the server and its address (``127.0.0.1:1664``).
        limits: of connections; none: what the descriptors allow.
        monotonic: see :func:`mig_core.api.app.create_app`.
        file: where the settings are from.

    Raises:
        MigError: it cannot start.
    """
    await asyncio.to_thread(_migrate, settings)
    files = PlatformFiles(settings)
    state = _state_folder(settings.state)
    proxies = _proxies(settings)
    connections = Connections(limits or ConnectionLimits.of_descriptors(descriptor_limit()), proxies)
    async with contextlib.AsyncExitStack() as stack:
        store: Store = PostgresStore(database_url(settings), pool_size=settings.database.pool_size)
        await store.open()
        stack.push_async_callback(store.close)
        own = state if place is None else _state_folder(state / f"worker-{place.number + 1}")
        keys = InvestigatorKeys(store.investigators, functools.partial(GnupgKeyring, ahead=MAX_CLOCK_DIFFERENCE), own)
        stack.callback(keys.close)
        bootstrap = BootstrapSecret(state, lambda: secrets.token_urlsafe(24))
        if await store.investigators.any():
            bootstrap.spend()
        elif place is None or place.first:
            bootstrap.offer()
        waiters = Waiters()
        app = create_app(
            store,
            keys,
            settings,
            files=files,
            bootstrap=bootstrap,
            waiters=waiters,
            connections=connections,
            place=place,
            clock=clock,
            new_token=lambda: secrets.token_urlsafe(32),
            version=version(),
            plugins=_plugin_routes(),
            module_schemas=_module_schemas,
            monotonic=monotonic,
        )
        store.wakeups.hear("login", app.end_logins)
        if sockets is None:
            sockets = [stack.enter_context(listening(one)) for one in settings.addresses]
            drop_handed_on()
        if not sockets:
            raise ConfigurationError("api", "listen", "is empty", next_step="address:port, or unix:/path")
        address = address_of(sockets[0])
        server = Server(app, _uvicorn_config(app, settings), waiters, connections, lambda: started(server, address))
        server.proxy_protocol = settings.proxy_protocol
        server.addresses = settings.addresses
        if place is not None:
            stack.callback(_accompany(place, server, app).cancel)
        which = "" if place is None else f" (worker {place.number + 1} of {place.workers})"
        log.info("mig-api %s%s listens on %s", version(), which, ", ".join(map(address_of, sockets)))
        watching = asyncio.create_task(_watch(settings, file, server))
        stack.callback(watching.cancel)
        await server.serve(sockets=list(sockets))
    log.info("mig-api has stopped")
    return server.again


async def _watch(settings: ApiSettings, file: Path | None, server: Server) -> None:
    """Ends the server, to begin again, when the settings are others and usable."""
    tls, database = settings.tls, settings.database
    named = (file, tls.certificate_file, tls.key_file, database.url_file, database.owner_url_file)
    usable = functools.partial(_usable, file, settings, database_url(settings))
    await until_renewed(lambda: [one for one in named if one is not None], usable, server.hangup)
    server.again = server.should_exit = True


def _usable(file: Path | None, before: ApiSettings, url_before: str) -> None:
    """Returns when mig-api could be put together with the settings as they are now, and do its work.

    Args:
        file: the settings.
        before: those in force; what they have too is not tried.
        url_before: their database login.

    Raises:
        MigError: it could not.
    """
    settings = load_settings(ApiSettings, role="api", path=file, environment=os.environ)
    PlatformFiles(settings)
    _proxies(settings)
    _uvicorn_config(None, settings)
    _check_workers(settings.workers)
    if settings.state != before.state:
        _state_folder(settings.state)
    if not settings.addresses:
        raise ConfigurationError("api", "listen", "is empty", next_step="address:port, or unix:/path")
    for address in settings.addresses:
        if address not in before.addresses and not address.startswith("unix:"):
            with listening(address):
                pass
    database = settings.database
    owner_url = inline_or_file("database.owner_url", database.owner_url, database.owner_url_file)
    if owner_url:
        connect(owner_url).close()
    url = database_url(settings)
    if url != url_before:
        for _ in look_at_database(url, API):  # raises when it cannot be used
            pass


def _accompany(place: Place, server: Server, app: MigApp) -> asyncio.Task[None]:
    """Tells the other workers what this one counts, and ends it when who forked it has ended."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(place.alive)
        server.should_exit = True

    async def publish() -> None:
        while True:
            app.metrics.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    loop.add_reader(place.alive, orphaned)
    return loop.create_task(publish(), name="mig-api-publish")


class Server(uvicorn.Server):
    """uvicorn, stopping at once: everybody who waits is answered before it counts open connections."""

    proxy_protocol = False
    """See :class:`mig_core.api.listener.Listener`."""

    def __init__(
        self,
        app: MigApp,
        config: uvicorn.Config,
        waiters: Waiters,
        connections: Connections,
        started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._waiters = waiters
        self._connections = connections
        self._on_started = started
        self.hangup = asyncio.Event()
        """Set by SIGHUP."""
        self.again = False
        """Whether it ends only to begin again."""
        self.addresses: Sequence[str] = ()
        """Of its sockets, as the settings write them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends for good, whatever was meant before."""
        self.again = False
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server. Not raised again afterwards, as uvicorn would: stopping is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self.hangup.set)
        try:
            yield
        finally:
            for number in (*numbers, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer: with our own way of accepting connections instead of asyncio's."""
        await self.lifespan.startup()
        listeners = [
            Listener(one, self._connections, self._make_protocol, self.config.ssl, proxy_protocol=self.proxy_protocol)
            for one in sockets or ()
        ]
        self.servers = cast("list[asyncio.base_events.Server]", listeners)  # it closes them, and waits for that
        self.started = True
        self._on_started()

    def _make_protocol(self, connection: Connection) -> RelayHttpProtocol:
        app = self._app
        return RelayHttpProtocol(
            connection, self.config, self.server_state, self.lifespan.state, app.hub, app.metrics, app.intake
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends waits, then connections."""
        self._waiters.stop()
        if self.again:
            hand_on(zip(self.addresses, sockets or (), strict=True))
        await super().shutdown(sockets)


def database_url(settings: ApiSettings) -> str:
    """The URL of mig-api's own role.

    Raises:
        ConfigurationError: there is none, or its file cannot be read.
    """
    database = settings.database
    url = inline_or_file("database.url", database.url, database.url_file)
    if not url:
        raise ConfigurationError(
            "api", "database.url", "is missing", next_step="set it, or database.url_file, or MIG_API_DATABASE_URL"
        )
    return url


@functools.cache
def _module_schemas() -> Mapping[str, JSON]:
    """Of the modules installed here; they are imported when somebody asks for the description, and not before."""
    manager = PluginManager()
    return module_schemas(manager.module(name) for name in manager.names())


def _plugin_routes() -> Sequence[Mapping[str, Answer] | None]:
    hooks = PluginManager().hooks("server")
    return [] if hooks is None else hooks.mig_api_routes()


def _uvicorn_config(app: object, settings: ApiSettings) -> uvicorn.Config:
    tls = settings.tls
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # falcon's App is an ASGI application; uvicorn's alias is narrower
        http=RelayHttpProtocol,
        # Who the client is, mig_core.api.clients finds out; uvicorn would believe whatever loopback says.
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
        ws="none",
        ssl_certfile=None if tls.certificate_file is None else str(tls.certificate_file),
        ssl_keyfile=None if tls.key_file is None else str(tls.key_file),
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigurationError(
            "api", "tls", f"certificate or key cannot be used: {error}", next_step="both in PEM form, and readable"
        ) from error
    return config


def _proxies(settings: ApiSettings) -> TrustedProxies:
    try:
        return TrustedProxies(settings.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError("api", "trusted_proxies", str(error)) from error


def _state_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            "api", "state", f"{path}: {error.strerror}", next_step="choose a directory that mig-api may write to"
        ) from error
    return path


if __name__ == "__main__":
    sys.exit(main())
