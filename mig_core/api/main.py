"""``mig-api``: reads the settings, puts the parts together, serves until SIGTERM.

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
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.api.app import create_app
from mig_core.api.bootstrap import BootstrapSecret
from mig_core.api.check_setup import check_setup
from mig_core.api.connections import ConnectionLimits, Connections, descriptor_limit, raise_descriptor_limit
from mig_core.api.files import PlatformFiles
from mig_core.api.keys import InvestigatorKeys
from mig_core.api.listening import address_of, drop_handed_on, hand_on, listening
from mig_core.api.login import MAX_CLOCK_DIFFERENCE
from mig_core.api.module_schemas import module_schemas
from mig_core.api.polls import Waiters
from mig_core.api.server import Server, uvicorn_config
from mig_core.api.usable import check_usable, check_workers, database_url, proxies_of, state_folder
from mig_core.api.workers import BEGIN_AGAIN, PUBLISH_SECONDS, Workers
from mig_core.config.loader import load_settings
from mig_core.config.server import API_FILE, ApiSettings, inline_or_file
from mig_core.dumps import forbid_dumps
from mig_core.errors import ConfigurationError, MigError
from mig_core.logs import start_logging
from mig_core.pgp.gnupg import GnupgKeyring
from mig_core.plugin.manager import PluginManager
from mig_core.renewal import begin_again, until_renewed
from mig_core.soundness import leave, seconds_left, tell
from mig_core.store.migrate import upgrade
from mig_core.store.postgres import PostgresStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mig_core.api.app import MigApp
    from mig_core.api.workers import Place
    from mig_core.domain.document import JSON
    from mig_core.plugin.hooks import Answer
    from mig_core.store.base import Store

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

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
        check_workers(workers)
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
        proxies_of(settings)

    start_logging("api", "CRITICAL")  # what is wrong is told once
    seen = check_setup(settings, database_url(settings), files, seconds=seconds_left(seconds))
    return leave(EXIT_OK if tell("mig-api", seen, sys.stdout) else EXIT_ERROR, seen)


def _serve_with(workers: int, settings: ApiSettings, file: Path | None) -> int:
    """Listens, and has workers answer; their status."""
    _migrate(settings)
    proxies_of(settings)
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
    state = state_folder(settings.state)
    proxies = proxies_of(settings)
    connections = Connections(limits or ConnectionLimits.of_descriptors(descriptor_limit()), proxies)
    async with contextlib.AsyncExitStack() as stack:
        store: Store = PostgresStore(database_url(settings), pool_size=settings.database.pool_size)
        await store.open()
        stack.push_async_callback(store.close)
        own = state if place is None else state_folder(state / f"worker-{place.number + 1}")
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
        server = Server(app, uvicorn_config(app, settings), waiters, connections, lambda: started(server, address))
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
    usable = functools.partial(check_usable, file, settings, database_url(settings))
    await until_renewed(lambda: [one for one in named if one is not None], usable, server.hangup)
    server.again = server.should_exit = True


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


@functools.cache
def _module_schemas() -> Mapping[str, JSON]:
    """Of the modules installed here; they are imported when somebody asks for the description, and not before."""
    manager = PluginManager()
    return module_schemas(manager.module(name) for name in manager.names())


def _plugin_routes() -> Sequence[Mapping[str, Answer] | None]:
    hooks = PluginManager().hooks("server")
    return [] if hooks is None else hooks.mig_api_routes()


if __name__ == "__main__":
    sys.exit(main())
