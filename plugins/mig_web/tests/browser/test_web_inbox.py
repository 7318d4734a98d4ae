"""Inbox, in a browser: what waits for a signature is shown as it is to be signed, and signed or left."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from mig_core.domain.action import Operation
from mig_core.domain.envelope import ACTION, Envelope
from mig_core.domain.proposal import Proposal

from .conftest import PATIENCE, running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from mig_core.domain.document import JSON
    from mig_core.testing.colleague import Colleague
    from mig_core.testing.fleet import Fleet


@pytest.fixture(scope="module")
def second_page(browser: Browser, second: Colleague, site: Fleet) -> Iterator[Page]:
    """The second investigator's own ``mig web``, in a browser of theirs."""
    with running_web(second.environment(), "--port", "0") as web:
        context = browser.new_context(base_url=web.origin)
        context.set_default_timeout(PATIENCE)
        tab = context.new_page()
        tab.goto(web.first_address)
        yield tab
        context.close()


def half_signed(site: Fleet, agent: str) -> str:
    """The id of an action that the first investigator has signed and the second has not."""
    site.mig("ping", "-d", "127.0.0.1", "-protocol", "icmp", "-t", agent, "-e", "300s")
    return str(json.loads(site.mig("actions", "--state", "pending", "--json").stdout)[0]["id"])


def proposed(site: Fleet, name: str) -> str:
    """The id of a fresh proposal."""
    search: dict[str, JSON] = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
    proposal = Proposal(name, "all", (Operation("file", search),), "seen on <b>one</b> host", "playbook 7")
    return str(site.platform.client.propose(proposal)["id"])


def test_a_second_investigator_reads_what_waits_and_signs_it(page: Page, second_page: Page, site: Fleet) -> None:
    action = half_signed(site, "migagenthost1")
    page.goto("/inbox")
    expect(page.get_by_role("region", name="Signed by you")).to_contain_text("weight 1 of 2")
    expect(page.get_by_role("region", name="Waits for your")).not_to_contain_text("weight 1 of 2")

    second_page.goto("/inbox")
    second_page.get_by_role("region", name="Waits for your").get_by_role("link").first.click()
    expect(second_page).to_have_url(re.compile(f"/inbox/actions/{action}"))
    shown = json.loads(second_page.locator("#signed").inner_text())
    second_page.get_by_role("button", name="Sign it").click()

    assert (shown["id"], shown["target"]) == (action, "name = 'migagenthost1'")
    expect(second_page).to_have_url(re.compile(f"/actions/{action}"))
    expect(second_page.locator(".legend")).to_have_text("1 answered")
    assert site.ended(action)["counts"] == {"success": 1}


def test_a_proposal_is_signed_as_it_is_shown(page: Page, site: Fleet) -> None:
    proposal = proposed(site, "motd of all")

    page.goto("/inbox")
    page.get_by_role("link", name="motd of all").click()
    expect(page.locator("main")).to_contain_text("seen on <b>one</b> host")
    shown = json.loads(page.locator("#signed").inner_text())
    # As if the platform's word that the proposal is signed had been lost: the same page is sent once more.
    payload = base64.b64decode(page.locator("[name=payload]").input_value())
    site.platform.client.create_action(site.platform.signer.sign(Envelope(ACTION, payload)))
    page.get_by_role("button", name="Sign and ask 4 agents").click()

    expect(page).to_have_url(re.compile(f"/actions/{shown['id']}"))
    assert site.platform.client.proposal(proposal)["action"] == shown["id"]
    assert site.ended(shown["id"])["counts"] == {"success": 4}


def test_a_proposal_is_rejected_with_a_reason(page: Page, site: Fleet) -> None:
    proposal = proposed(site, "motd once more")

    page.goto(f"/inbox/proposals/{proposal}")
    page.get_by_label("Say no, because").fill("asked yesterday")
    page.get_by_role("button", name="Reject it").click()

    expect(page).to_have_url(re.compile("/inbox$"))
    expect(page.locator("main")).not_to_contain_text("motd once more")
    assert site.platform.client.proposal(proposal)["answer"] == "asked yesterday"
    page.goto(f"/inbox/proposals/{proposal}")
    expect(page.locator("main")).to_contain_text("It was rejected")


def test_nobody_signs_twice(page: Page, site: Fleet) -> None:
    action = half_signed(site, "migagenthost2")

    page.goto(f"/inbox/actions/{action}")

    expect(page.locator("main")).to_contain_text("You have signed it")
    expect(page.get_by_role("button", name="Sign it")).to_have_count(0)
