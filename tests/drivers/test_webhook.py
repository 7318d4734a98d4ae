"""The webhook: ends of actions are told, signed, tried again and given up, over a real receiver and a real database."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import json
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mig_core.config.server import SchedulerSettings, WebhookSettings
from mig_core.errors import ConfigurationError
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.scheduler import webhook
from mig_core.scheduler.service import Scheduler
from mig_core.scheduler.webhook import MOST_TRIES, Webhook, check_webhook
from mig_core.testing.store_samples import NOW, action, answer, fanned_out, later

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.store.postgres import PostgresStore

SECRET = b"a secret of both"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Told)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.arrived = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?key=1"


class _Told(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.end_headers()
        self.server.arrived.set()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  its own argument
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(receiver: Receiver, tmp_path: Path) -> WebhookSettings:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    return WebhookSettings(receiver.url, secret)


async def ended(store: PostgresStore, name: str = "sample") -> str:
    """An action of two agents that has ended at NOW + 5 s."""
    asked = action(name)
    commands = await fanned_out(store, f"{name}1", f"{name}2", asked=asked)
    mine = [one for one in commands if one.action == asked.id]
    await store.commands.record([answer(one) for one in mine], later(5))
    await store.actions.settle(later(5))
    return asked.id


def test_an_end_is_told_once_signed_and_without_answers(
    store: PostgresStore, store_runner: asyncio.Runner, settings: WebhookSettings, receiver: Receiver
) -> None:
    async def scenario() -> str:
        identifier = await ended(store)
        teller = Webhook(store, settings, lambda: later(6))
        assert await teller.run() is False
        await teller.run()
        return identifier

    identifier = store_runner.run(scenario())

    ((headers, body),) = receiver.told
    signed = f"{headers['x-mig-timestamp']}.".encode() + body
    assert headers["x-mig-signature"] == "sha256=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert headers["x-mig-delivery"] == identifier
    told = json.loads(body)
    assert told["event"] == "action.ended"
    assert (told["action"]["state"], told["action"]["targeted"]) == ("completed", 2)
    assert told["action"]["counts"] == {"success": 2}
    assert "results" not in body.decode()


def test_a_receiver_that_says_no_is_tried_again_with_growing_pauses_and_then_given_up(
    store: PostgresStore, store_runner: asyncio.Runner, settings: WebhookSettings, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 404, *[503] * 20]

    async def scenario() -> dict[str, int]:
        await ended(store)
        seconds, tries = 6.0, []
        teller = Webhook(store, settings, lambda: later(seconds), pause=timedelta(seconds=1))
        for _ in range(200):
            before = len(receiver.told)
            await teller.run()
            tries += [seconds] * (len(receiver.told) - before)
            seconds += 1
        assert [after - earlier for earlier, after in pairwise(tries)] == [1, 2, 4, 8, 16, 32, 64]
        return dict(await store.numbers.counters())

    assert store_runner.run(scenario()) == {"webhook.given_up": 1}
    assert len(receiver.told) == MOST_TRIES


def test_what_ended_long_ago_is_not_told_and_two_schedulers_tell_each_end_once(
    store: PostgresStore, store_runner: asyncio.Runner, settings: WebhookSettings, receiver: Receiver
) -> None:
    async def scenario() -> set[str]:
        first = await ended(store, "old")
        late = Webhook(store, settings, lambda: later(7200))
        await late.run()
        assert receiver.told == []
        others = {await ended(store, f"new{number}") for number in range(3)}
        both = [Webhook(store, settings, lambda: later(10)) for _ in range(2)]
        await asyncio.gather(*(one.run() for one in both))
        return {first, *others}

    expected = store_runner.run(scenario())

    assert sorted(headers["x-mig-delivery"] for headers, _ in receiver.told) == sorted(expected)


def test_a_receiver_that_never_answers_holds_up_nothing_and_nobody_who_stops(
    store: PostgresStore,
    store_runner: asyncio.Runner,
    settings: WebhookSettings,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "READ_SECONDS", 600.0)  # so long the request takes here, however slow the machine is
    never = threading.Event()
    handle = _Told.do_POST

    def stall(self: _Told) -> None:
        self.server.arrived.set()
        never.wait()

    async def scenario() -> None:
        now = datetime.now(UTC)
        offset = now - NOW

        async def arrival(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.05))

        await ended(store)
        scheduler = Scheduler(
            store,
            [HttpsPlatformRelay(store.relay_queue, arrival)],
            SchedulerSettings(webhook=settings, periodic_interval=timedelta(seconds=0.1)),
            now=lambda: datetime.now(UTC) - offset + timedelta(seconds=6),
        )
        work = asyncio.ensure_future(scheduler.run())
        assert await asyncio.to_thread(receiver.arrived.wait, 60)
        second = action("second", begins=0)
        await fanned_out(store, "second1", asked=second)
        async with asyncio.timeout(60):  # it goes on handing over while the webhook waits
            while (await store.numbers.watched(datetime.now(UTC))).waiting["commands"]:
                await asyncio.sleep(0.02)
        work.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(work, return_exceptions=True)

    _Told.do_POST = stall  # type: ignore[method-assign]  # a receiver that says nothing
    try:
        store_runner.run(scenario())
    finally:
        never.set()
        _Told.do_POST = handle  # type: ignore[method-assign]  # as it was


@pytest.mark.parametrize(
    ("url", "secret", "words"),
    [
        ("ftp://x", b"s", "webhook.url"),
        ("https://x", None, "webhook.secret_file: is missing"),
        ("https://x", b" \n", "is empty"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_a_setting_that_is_wrong(
    url: str, secret: bytes | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if secret is not None:
        file.write_bytes(secret)

    with pytest.raises(ConfigurationError, match=words):
        check_webhook(WebhookSettings(url, None if secret is None else file))
