"""Fleet, in a browser: agents by target, and the fleet in numbers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mig_core.testing.fleet import Fleet


def test_agents_are_listed_and_searched_by_target_while_somebody_types(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/")
    expect(page.locator("#agents tbody tr")).to_have_count(4)

    page.keyboard.press("/")
    page.keyboard.type("migagent*")

    expect(page.locator("#agents tbody tr")).to_have_count(3)
    expect(page.locator("#agents")).to_contain_text("3 agents are meant")
    expect(page).to_have_url("/?target=migagent%2A")
    page.reload()
    expect(page.locator("#agents tbody tr")).to_have_count(3)


def test_a_target_that_cannot_be_read_says_where(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/")

    page.get_by_label("Target").fill("nam = 'x'")

    expect(page.get_by_role("alert")).to_contain_text("position 0")
    expect(page.get_by_role("alert")).to_contain_text("did you mean name")


def test_numbers_say_who_is_online_and_when_agents_were_last_heard_of(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/")

    expect(page.locator(".tile.online")).to_have_text("4 online")
    expect(page.get_by_role("row", name="within 5 minutes")).to_contain_text("4")
    page.get_by_role("button", name="Dark or light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Dark or light").click()


def test_how_the_fleet_stood_over_the_day_is_plotted(page: Page, site: Fleet) -> None:
    from playwright.sync_api import expect

    with psycopg.connect(site.platform.postgres.url(), autocommit=True) as database:
        for hours, online in ((2, 1), (1, 3)):
            database.execute(
                "INSERT INTO fleet_history VALUES (now() - %s * interval '1 hour', %s::jsonb)",
                (hours, json.dumps({"online": online, "offline": 4 - online})),
            )
    page.goto("/")

    day = page.get_by_role("region", name="Over the last day")
    expect(day.get_by_role("img")).to_have_attribute("aria-label", re.compile("online: 1 at first"))
    expect(day.locator("canvas")).to_be_visible()


def test_who_has_another_acl_than_the_platform_is_marked(page: Page, site: Fleet) -> None:
    from playwright.sync_api import expect

    reference = site.platform.client.trust()["acl"]
    page.goto("/?target=migagenthost1")

    row = page.locator("#agents tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator(f"code[title='ACL {reference}']")).to_have_text(reference[:8])
    expect(row.locator(".warn")).to_have_count(0)
