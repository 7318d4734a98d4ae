"""The page for people: by keyboard alone, for those who hear it, on a telephone, in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from mig_core.domain.action import Operation
from mig_core.domain.proposal import Proposal

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

    from mig_core.domain.document import JSON
    from mig_core.testing.fleet import Fleet

RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    "dark": ["color-contrast"],  # the rest is the same in any light
}
AXE = Path(__file__).parent / "axe" / "axe.min.js"


@pytest.fixture(scope="module")
def asked(site: Fleet) -> str:
    """A question of the walk-through, answered."""
    action = site.detach("file", "-t", "all", "-path", "etc", "-path", "/nonexistent", "-name", "^(motd|mig-demo)$")
    site.ended(action)
    return action


@pytest.fixture(scope="module")
def waiting(site: Fleet) -> str:
    """Where a proposal waits for a signature."""
    search: dict[str, JSON] = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
    proposal = Proposal("motd for people", "all", (Operation("file", search),), "asked for", "playbook 7")
    return f"/inbox/proposals/{site.platform.client.propose(proposal)['id']}"


def test_a_question_is_asked_and_read_by_keyboard_alone(page: Page) -> None:
    page.goto("/ask?module=file")
    keys = page.keyboard
    page.get_by_label("path", exact=True).focus()
    keys.type("etc")
    while page.evaluate("document.activeElement.id") != "p-name":
        keys.press("Tab")
    keys.type("^motd$")
    keys.press("Escape")
    keys.press("/")
    keys.type("migagent*")
    keys.press("Enter")
    page.get_by_role("button", name="Sign and ask 3 agents").wait_for()
    while page.evaluate("document.activeElement.value") != "sign":
        keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    # The rows may be fetched once more when the question is over; a key that is pressed meanwhile is nobody's.
    expect(page.locator("[data-while-live]")).to_have_count(0)
    expect(page.locator(".htmx-request, [data-due]")).to_have_count(0)

    page.locator("#rows tbody tr").first.focus()
    keys.press("ArrowDown")
    keys.press("End")
    keys.press("Home")
    keys.press("ArrowDown")
    keys.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("migagenthost2")
    keys.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    keys.press("g")
    keys.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_telephone(
    theme: str, visitor: BrowserContext, asked: str, waiting: str
) -> None:
    page = visitor.new_page()
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": 360, "height": 740})
    action = f"/actions/{asked}"
    whole = "#rows tbody tr"
    paths = {
        "/": "canvas",
        "/ask": "h1",
        "/ask?module=file": "#meant b",
        "/actions": "h1",
        f"{action}?stack=size": whole,
    }
    paths |= {f"{action}/agents/migagenthost1": "h1", f"{action}/cancel": "h1", "/nowhere": "h1"}
    paths |= dict.fromkeys(("/inbox", waiting, "/agents/migagenthost1", "/cases", "/verify", "/investigators"), "h1")
    for path, last in paths.items():
        page.goto(path)
        page.locator(f"main:not(:has(#waiting)) {last}").first.wait_for()  # not of a page that is waited for
        page.evaluate(AXE.read_text(encoding="utf-8"))

        found = page.evaluate(f"axe.run({{runOnly: {RULES[theme]}}})")

        faults = [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
        assert not faults, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.close()
