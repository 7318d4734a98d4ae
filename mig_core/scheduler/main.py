"""``mig-scheduler``.

Reads its settings, connects database and relays, works until SIGTERM. The composition root of this role.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.config.loader import load_settings
from mig_core.config.server import SCHEDULER_FILE, AmqpSettings, SchedulerSettings, inline_or_file
from mig_core.dumps import forbid_dumps
from mig_core.errors import ConfigurationError, MigError
from mig_core.logs import start_logging
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.scheduler.service import Scheduler
from mig_core.store.database import StoreLimits
from mig_core.store.postgres import PostgresStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.relay.base import PlatformRelay
    from mig_core.relay.tls import TlsOptions

EXIT_OK = 0
EXIT_ERROR = 1

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the scheduler; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="mig-scheduler", description="MIG's scheduler: fans actions out and collects answers."
    )
    parser.add_argument("-c", "--config", type=Path, help=f"settings (default: {SCHEDULER_FILE}, if it is there)")
    parser.add_argument("--check", action="store_true", help="read the settings, try database and relay, and end")
    parser.add_argument("-V", "--version", action="version", version=f"mig-scheduler {version('mig-core')}")
    options = parser.parse_args(arguments)
    forbid_dumps()
    path = options.config or (SCHEDULER_FILE if SCHEDULER_FILE.exists() else None)
    try:
        settings = load_settings(SchedulerSettings, role="scheduler", path=path, environment=os.environ)
        start_logging("scheduler", settings.log_level)
        asyncio.run(check(settings) if options.check else _run(settings))
    except MigError as error:
        print(f"mig-scheduler: {error.diagnostics()}", file=sys.stderr)  # noqa: T201  the program's own message
        return EXIT_ERROR
    return EXIT_OK


async def _run(settings: SchedulerSettings) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_serve(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    _log.info("stopped")


async def check(settings: SchedulerSettings) -> None:
    """Returns when the scheduler could start with these settings: its database and its broker let it in.

    Raises:
        MigError: it could not.
    """
    store = PostgresStore(_database_url(settings), pool_size=1, limits=StoreLimits(connect=0))
    await store.open()
    await store.close()
    url = inline_or_file("amqp.url", settings.amqp.url, settings.amqp.url_file)
    if url:
        from mig_core.relay.amqp_broker import Broker
        from mig_core.relay.amqp_connection import AmqpConnection

        connection = await AmqpConnection.open(Broker.from_url(url, tls=_tls(settings.amqp)))
        await connection.close()
    usable = "settings, database and RabbitMQ are usable" if url else "settings and database are usable"
    print(f"mig-scheduler: {usable}")  # noqa: T201  what --check is for


def _database_url(settings: SchedulerSettings) -> str:
    url = inline_or_file("database.url", settings.database.url, settings.database.url_file)
    if not url:
        raise ConfigurationError(
            "scheduler", "database.url", "is missing", next_step="name the scheduler's database login"
        )
    return url


async def _serve(settings: SchedulerSettings) -> None:
    store = PostgresStore(_database_url(settings), pool_size=settings.database.pool_size)
    await store.open()
    try:
        async with store.wakeups.watch("inbound") as inbound:

            async def arrival(seconds: float) -> None:
                await inbound.wait(seconds)

            relays: list[PlatformRelay] = [HttpsPlatformRelay(store.relay_queue, arrival), *_amqp(settings.amqp)]
            _log.info("started; relays: %s", ", ".join(relay.name for relay in relays))
            await Scheduler(store, relays, settings, now=lambda: datetime.now(UTC)).run()
    finally:
        await store.close()


def _amqp(settings: AmqpSettings) -> Iterator[PlatformRelay]:
    url = inline_or_file("amqp.url", settings.url, settings.url_file)
    if url:
        from mig_core.relay.amqp_platform import AmqpPlatformRelay

        yield AmqpPlatformRelay(url, tls=_tls(settings))


def _tls(settings: AmqpSettings) -> TlsOptions:
    from mig_core.relay.tls import TlsOptions

    return TlsOptions(settings.ca_file, settings.certificate_file, settings.key_file)
