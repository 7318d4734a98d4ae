"""One platform, one ``mig web`` and one browser for all tests of the page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import Site
from mig_core.testing.colleague import Colleague, colleague
from mig_core.testing.fleet import Fleet, running_fleet
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

    from mig_core.cli.demo.platform import Platform

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 60_000
"""Milliseconds that the page may take for anything, on a busy machine."""


@dataclass(frozen=True)
class Web:
    """A ``mig web`` that runs."""

    first_address: str
    process: subprocess.Popen[str]

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``"""
        return self.first_address.partition("/?")[0]


@contextlib.contextmanager
def running_web(environment: dict[str, str], *words: str) -> Iterator[Web]:
    """``mig web`` as its user types it, until the block ends."""
    process = subprocess.Popen(
        [program("mig"), "web", "--no-open", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "mig web did not say its address"
        yield Web(process.stdout.readline().strip(), process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@pytest.fixture(scope="package")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colleague]:
    """A second investigator of the platform."""
    with colleague(Site(tmp_path_factory.mktemp("web"), "https"), "second") as person:
        yield person


@pytest.fixture(scope="package")
def site(second: Colleague) -> Iterator[Fleet]:
    """A platform with the demonstration's four agents, where ``ping`` needs the signatures of both investigators."""

    def prepare(platform: Platform) -> None:
        file = platform.site.root / "acl.json"
        acl = json.loads(file.read_text())
        people = {**acl["default"]["investigators"], "second": {"fingerprint": second.fingerprint, "weight": 1}}
        file.write_text(json.dumps({**acl, "ping": {"minimumweight": 2, "investigators": people}}))
        (platform.site.root / "keys" / "second.asc").write_bytes(second.public_key)
        platform.client.add_investigator("Second", second.public_key, ["read", "ask", "propose"])

    with running_fleet(second.site.root, "https", prepare) as running:
        yield running


@pytest.fixture(scope="package")
def stranger(site: Fleet) -> Iterator[Colleague]:
    """Somebody with a key, whom nobody has registered yet."""
    with colleague(site.platform.site, "stranger") as person:
        yield person


@pytest.fixture(scope="package")
def web(site: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """``mig web`` of the platform's investigator, at a free port."""
    data = tmp_path_factory.mktemp("data")
    environment = {**site.environment(), "XDG_DATA_HOME": str(data), "XDG_STATE_HOME": str(data), "TZ": "UTC"}
    with running_web(environment, "--port", "0") as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    if not os.path.exists(CHROMIUM):
        service_missing("chromium is not installed")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="package")
def visitor(browser: Browser, web: Web) -> Iterator[BrowserContext]:
    """A browser with a session."""
    context = browser.new_context(base_url=web.origin)
    context.set_default_timeout(PATIENCE)
    context.new_page().goto(web.first_address)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A tab with a session. Whatever the page complains about (a script, its security policy, a missing file) fails the
    test; that a page itself was refused, or had to be waited for (503), is no complaint."""
    complaints: list[str] = []

    def note(line: ConsoleMessage) -> None:
        refused = (
            re.search(r"Failed to load resource: .* status of (4|503)", line.text)
            and "/static/" not in line.location["url"]
        )
        left = line.text.startswith(
            ("htmx:sendAbort", "htmx:afterRequest")
        )  # a page that was left while it was loading
        if line.type in ("error", "warning") and not refused and not left:
            complaints.append(line.text)

    tab = visitor.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", note)
    yield tab
    tab.close()
    assert not complaints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of this test's own."""
    return tmp_path
