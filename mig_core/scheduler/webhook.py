"""Tells a web address when an action has ended: at least once, signed, a few times if need be, and never in the way.

It has a task of its own, and each request a thread that nothing waits for when the scheduler stops. What was not told
within an hour, or after eight tries, is given up, counted and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain import document as documents
from mig_core.domain.times import format_time
from mig_core.errors import ConfigurationError, NotFound
from mig_core.network.proxies import environment_proxy
from mig_core.relay.tls import TlsOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.config.server import WebhookSettings
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import ActionId
    from mig_core.store.base import Store
    from mig_core.store.rows import ActionRow

MOST_TRIES = 8
TOLD_FOR = timedelta(hours=1)
"""What ended before is not told any more: also when a webhook is set for the first time."""
PAUSE = timedelta(seconds=20)
"""Until the second try; it doubles with each. Longer than a request takes."""
AT_ONCE = 8
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0

_log = logging.getLogger(__name__)


class Webhook:
    """Announces ends of actions.

    Args:
        settings: where to, and the secret.
        now: the time.
        pause: until the second try.

    Raises:
        ConfigurationError: the address, the secret or a TLS file cannot be used.
    """

    def __init__(
        self, store: Store, settings: WebhookSettings, now: Callable[[], datetime], *, pause: timedelta = PAUSE
    ) -> None:
        self._store = store
        self._url = settings.url
        self._now = now
        self._pause = pause
        self._secret = check_webhook(settings)
        self._tls = TlsOptions(settings.ca_file) if self._url.startswith("https:") else None

    async def run(self) -> bool:
        """One round; returns whether there may be more."""
        now = self._now()
        claimed = await self._store.announcements.claim(
            now=now, since=now - TOLD_FOR, most_tries=MOST_TRIES, pause=self._pause, limit=AT_ONCE
        )
        told = await asyncio.gather(*(self._announce(action, number) for action, number in claimed))
        done = [action for (action, _), well in zip(claimed, told, strict=True) if well]
        if done:
            await self._store.announcements.done(done, self._now())
        given_up = sum(not well and number >= MOST_TRIES for (_, number), well in zip(claimed, told, strict=True))
        if given_up:
            await self._store.numbers.count({"webhook.given_up": given_up})
        return len(claimed) == AT_ONCE

    async def _announce(self, action: ActionId, number: int) -> bool:
        """Whether it was told, or there is nothing to be told."""
        try:
            row = await self._store.actions.get(action)
        except NotFound:
            return True
        body = documents.dump({"event": "action.ended", "action": ended(row)})
        problem = await _in_thread(lambda: self._post(action, body))
        if not problem:
            _log.info("action=%s its end was told to the webhook", action)
            return True
        if number >= MOST_TRIES:
            _log.error("action=%s its end could not be told to the webhook and is given up: %s", action, problem)
        else:
            _log.warning("action=%s its end could not be told to the webhook (try %d): %s", action, number, problem)
        return False

    def _post(self, action: ActionId, body: bytes) -> str:
        """What went wrong; empty: nothing."""
        import urllib3

        moment = format_time(self._now())
        signature = hmac.new(self._secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mig-scheduler",
            "X-MIG-Delivery": action,
            "X-MIG-Timestamp": moment,
            "X-MIG-Signature": f"sha256={signature}",
        }
        proxy = environment_proxy(self._url, os.environ)
        options = {} if self._tls is None else {"ssl_context": self._tls.context()}
        try:
            with urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options) as pool:  # type: ignore[arg-type]  # a context only
                response = pool.request(
                    "POST",
                    self._url,
                    body=body,
                    headers=headers,
                    redirect=False,
                    retries=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                    preload_content=False,
                )
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:300]
        return "" if 200 <= response.status < 300 else f"it answered {response.status}"


def ended(row: ActionRow) -> dict[str, JSON]:
    """What is told of an action: who asked what of how many, and how it ended; no answer of any agent."""
    return {
        "id": row.id,
        "name": row.name,
        "target": row.target,
        "state": row.state.value,
        "reason": row.reason,
        "created": format_time(row.created_at),
        "createdby": row.created_by,
        "finished": None if row.finished_at is None else format_time(row.finished_at),
        "targeted": row.targeted,
        "counts": {state.value: number for state, number in row.counts.items() if number},
        "found": row.found,
        "partial": row.partial,
    }


def check_webhook(settings: WebhookSettings) -> bytes:
    """The secret, when the settings can be used.

    Raises:
        ConfigurationError: they cannot.
    """
    if not settings.url.startswith(("https://", "http://")):
        raise ConfigurationError("scheduler", "webhook.url", "must begin with https:// or http://")
    if settings.url.startswith("https:"):
        TlsOptions(settings.ca_file).context()
    if settings.secret_file is None:
        raise ConfigurationError(
            "scheduler", "webhook.secret_file", "is missing", next_step="a file with a secret that the receiver knows"
        )
    try:
        secret = settings.secret_file.read_bytes()[:4096].strip()
    except OSError as error:
        raise ConfigurationError(
            str(settings.secret_file), "webhook.secret_file", f"cannot be read: {error.strerror}"
        ) from error
    if not secret:
        raise ConfigurationError(str(settings.secret_file), "webhook.secret_file", "is empty")
    return secret


async def _in_thread(work: Callable[[], str]) -> str:
    """What ``work`` returns, from a thread that is left alone when we are cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def settle(result: str) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            result = f"{type(error).__name__}: {error}"[:300]
        with contextlib.suppress(RuntimeError):  # the scheduler has stopped meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="webhook", daemon=True).start()
    return await done
