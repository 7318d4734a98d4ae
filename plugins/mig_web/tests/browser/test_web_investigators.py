"""Investigators, in a browser: registered, permitted and disabled, by whoever may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mig_core.testing.colleague import Colleague


def test_an_investigator_is_registered_permitted_and_disabled(page: Page, stranger: Colleague) -> None:
    from playwright.sync_api import expect

    page.goto("/investigators")
    page.get_by_label("Name").fill("Second <i>")
    page.get_by_label("Public key").fill(stranger.public_key.decode())
    page.get_by_role("button", name="Register").click()

    panel = page.get_by_role("region", name="Second <i>")
    expect(panel).to_contain_text(stranger.fingerprint)
    assert stranger.mig("agents").returncode == 0
    panel.get_by_role("checkbox", name="log in at all").uncheck()
    panel.get_by_role("button", name="Change").click()
    expect(page.get_by_role("region", name="Second <i>")).to_contain_text("disabled")
    assert stranger.mig("agents").returncode != 0


def test_nobody_takes_rights_from_themselves_here(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/investigators")

    own = page.get_by_role("region", name="you")
    expect(own).to_be_visible()
    expect(own.get_by_role("button")).to_have_count(0)
