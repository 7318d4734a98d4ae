"""``mig-scheduler``.

Reads its settings, connects database and relays, works until SIGTERM. The composition root of this role.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.config.loader import load_settings, named_files
from mig_core.config.server import SCHEDULER_FILE, AmqpSettings, SchedulerSettings, inline_or_file
from mig_core.dumps import forbid_dumps
from mig_core.errors import ConfigurationError, MigError
from mig_core.exposition import MEDIA_TYPE
from mig_core.logs import start_logging
from mig_core.network.numbers_server import serving_numbers
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.renewal import begin_again, until_renewed
from mig_core.scheduler.check_setup import check_setup, tls_options
from mig_core.scheduler.metrics import SchedulerMetrics
from mig_core.scheduler.service import Scheduler
from mig_core.scheduler.webhook import check_webhook
from mig_core.soundness import leave, seconds_left, tell
from mig_core.store.examination import require_database
from mig_core.store.postgres import PostgresStore
from mig_core.store.roles import SCHEDULER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.relay.base import PlatformRelay

EXIT_OK = 0
EXIT_ERROR = 1

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the scheduler; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="mig-scheduler", description="MIG's scheduler: fans actions out and collects answers."
    )
    parser.add_argument("-c", "--config", type=Path, help=f"settings (default: {SCHEDULER_FILE}, if it is there)")
    parser.add_argument("--check", action="store_true", help="try settings, database and relay, and end")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="with --check: how long at most")
    parser.add_argument("-V", "--version", action="version", version=f"mig-scheduler {version('mig-core')}")
    options = parser.parse_args(arguments)
    forbid_dumps()
    path = options.config or (SCHEDULER_FILE if SCHEDULER_FILE.exists() else None)
    try:
        settings = load_settings(SchedulerSettings, role="scheduler", path=path, environment=os.environ)
        if options.check:
            start_logging("scheduler", "CRITICAL")  # what is wrong is told once
            seen = check_setup(settings, _database_url(settings), seconds=seconds_left(options.within))
            return leave(EXIT_OK if tell("mig-scheduler", seen, sys.stdout) else EXIT_ERROR, seen)
        start_logging("scheduler", settings.log_level, settings.log_format)
        again = asyncio.run(_run(settings, path))
    except MigError as error:
        print(f"mig-scheduler: {error.diagnostics()}", file=sys.stderr)  # noqa: T201  the program's own message
        return EXIT_ERROR
    if again:
        begin_again()
    return EXIT_OK


async def _run(settings: SchedulerSettings, path: Path | None) -> bool:
    """Works until it is told to end; returns whether to begin again, with other settings."""
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_serve(settings))
    hangup, ended = asyncio.Event(), asyncio.Event()

    def end() -> None:
        ended.set()
        work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    usable = functools.partial(_usable, path, settings, _database_url(settings))
    watching = asyncio.ensure_future(until_renewed(lambda: _files(settings, path), usable, hangup))
    try:
        await asyncio.wait({work, watching}, return_when=asyncio.FIRST_COMPLETED)
        again = watching.done()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        watching.cancel()
    _log.info("stopped")
    return again and not ended.is_set()


def _files(settings: SchedulerSettings, path: Path | None) -> list[Path]:
    return [*(() if path is None else (path,)), *named_files(settings)]


def _usable(path: Path | None, before: SchedulerSettings, url_before: str) -> None:
    """Returns when the scheduler could be put together with the settings as they are now, and do its work.

    Args:
        path: the settings.
        before: those in force; what they have too is not tried.
        url_before: their database login.

    Raises:
        MigError: it could not.
    """
    settings = load_settings(SchedulerSettings, role="scheduler", path=path, environment=os.environ)
    tls = tls_options(settings.amqp)
    tls.context()
    if broker := inline_or_file("amqp.url", settings.amqp.url, settings.amqp.url_file):
        from mig_core.relay.amqp_broker import Broker

        Broker.from_url(broker, tls=tls)
    if settings.webhook.url:
        check_webhook(settings.webhook)
    if settings.metrics_listen != before.metrics_listen and not settings.metrics_listen.startswith("unix:"):
        asyncio.run(_listen_once(settings.metrics_listen))
    url = _database_url(settings)
    if url != url_before:
        require_database(url, SCHEDULER)


async def _listen_once(address: str) -> None:
    async def nothing() -> bytes:
        return b""

    if address:
        async with serving_numbers(address, nothing, MEDIA_TYPE):
            pass


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
            metrics = SchedulerMetrics()
            async with contextlib.AsyncExitStack() as stack:
                if settings.metrics_listen:
                    listening = serving_numbers(settings.metrics_listen, metrics.text, MEDIA_TYPE)
                    await stack.enter_async_context(listening)
                await Scheduler(store, relays, settings, now=lambda: datetime.now(UTC), metrics=metrics).run()
    finally:
        await store.close()


def _amqp(settings: AmqpSettings) -> Iterator[PlatformRelay]:
    url = inline_or_file("amqp.url", settings.url, settings.url_file)
    if url:
        from mig_core.relay.amqp_platform import AmqpPlatformRelay

        yield AmqpPlatformRelay(url, tls=tls_options(settings))
