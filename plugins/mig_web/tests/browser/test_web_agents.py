"""Agent, in a browser: what is known of one endpoint, and what it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mig_core.testing.fleet import Fleet


def test_an_agent_s_page_has_its_facts_and_everything_it_was_asked(page: Page, site: Fleet) -> None:
    from playwright.sync_api import expect

    site.ask("file", "-path", "/etc", "-name", "^hostname$", "-t", "migagenthost1")

    page.goto("/")
    page.get_by_role("link", name="migagenthost1").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("migagenthost1 online")
    expect(page.get_by_role("region", name="Plugins")).to_contain_text("file")
    expect(page.get_by_role("region", name="Facts")).to_contain_text("https")
    expect(page.get_by_role("region", name="Persistent modules")).to_contain_text("none runs here")
    asked = page.get_by_role("region", name="What it was asked").get_by_role("row").nth(1)
    expect(asked).to_contain_text("^hostname$")
    expect(asked).to_contain_text("success")


def test_an_agent_that_there_is_not_says_so(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/agents/nobody")

    expect(page.get_by_role("alert")).to_contain_text("nobody")
