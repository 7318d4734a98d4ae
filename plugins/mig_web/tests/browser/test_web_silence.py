"""A platform that takes connections and says nothing, in a browser: that is said, and pages come by themselves."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

    from mig_core.testing.fleet import Fleet

TELL = """() => {
  const note = document.getElementById("silence");
  const tell = () => { if (!note.hidden) console.log(note.textContent); };
  new MutationObserver(tell).observe(note, { attributes: true, childList: true });
}"""


@contextlib.contextmanager
def hanging(site: Fleet) -> Iterator[None]:
    """mig-api stands still: its connections are taken by the system, and nobody answers."""
    pid = site.platform.processes.pid("api")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def tab(visitor: BrowserContext) -> Iterator[Page]:
    """A tab whose complaints do not count: that a platform is away is what these tests are about."""
    opened = visitor.new_page()
    yield opened
    opened.close()


def test_while_the_platform_is_silent_that_is_said_and_what_was_asked_for_comes_by_itself(
    tab: Page, visitor: BrowserContext, site: Fleet
) -> None:
    tab.goto("/")
    expect(tab.locator("#agents tbody tr")).to_have_count(4)

    with hanging(site), visitor.new_page() as fresh:
        tab.get_by_label("Target").fill("migagent*")
        fresh.goto("/actions")
        expect(fresh.get_by_role("status").last).to_contain_text("The platform has not answered for")
        expect(fresh.get_by_role("table")).to_have_count(0)
        expect(tab.locator("#silence")).to_contain_text("what a page shows meanwhile is from before")
        os.kill(site.platform.processes.pid("api"), signal.SIGCONT)
        expect(fresh.get_by_role("heading", name="Actions")).to_be_visible()

    expect(tab.locator("#agents tbody tr")).to_have_count(3)
    expect(tab.locator("#silence")).to_be_hidden()


def test_a_form_that_was_sent_says_that_the_platform_is_silent(tab: Page, visitor: BrowserContext, site: Fleet) -> None:
    tab.goto("/ask?module=file")
    tab.get_by_label("path", exact=True).fill("etc")
    tab.get_by_label("name", exact=True).fill("^mig-demo$")
    tab.get_by_label("Target", exact=True).fill("migagenthost1")
    tab.get_by_role("button", name="Review").click()
    sign = tab.get_by_role("button", name="Sign and ask")
    expect(sign).to_be_visible()

    # Nobody can ask a page anything until a form that was sent is answered; so it tells.
    tab.evaluate(TELL)
    with (
        hanging(site),
        tab.expect_console_message(lambda line: "The platform has not answered for" in line.text),
    ):
        sign.click(no_wait_after=True)

    expect(tab.locator(".legend")).to_have_text("1 answered")
