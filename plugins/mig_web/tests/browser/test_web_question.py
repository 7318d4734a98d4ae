"""A question in a browser: asked, reviewed, signed, watched, read."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mig_core.testing.fleet import Fleet


def ask_for(page: Page, name: str, target: str = "all") -> None:
    """Fills in the form of ``file``: a path and a name."""
    page.goto("/ask?module=file")
    page.get_by_label("path", exact=True).fill("etc")
    page.get_by_label("name", exact=True).fill(name)
    page.get_by_label("Target", exact=True).fill(target)


def test_what_is_signed_is_shown_to_the_byte_and_then_asked(page: Page, site: Fleet) -> None:
    ask_for(page, "^mig-demo$")
    expect(page.locator("#meant")).to_contain_text("4 agents: migagenthost1 (online)")
    page.get_by_role("button", name="Review").click()

    shown = json.loads(page.locator("#signed").inner_text())
    expect(page.get_by_role("heading", name="Who would be asked now: 4 agents")).to_be_visible()
    expect(page.locator("body")).to_contain_text("module file needs weight 1, has 1 with your signature")
    page.get_by_role("button", name="Sign and ask 4 agents").click()

    expect(page).to_have_url(re.compile(f"/actions/{shown['id']}"))
    expect(page.locator(".legend")).to_have_text("4 answered")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page.locator("#rows tbody tr")).to_contain_text("migagenthost2")
    expect(page.locator("#coverage")).to_contain_text("looked at everything it was asked about")
    assert site.action(shown["id"])["envelope"] is not None
    assert site.action(shown["id"])["operations"] == shown["operations"]


def test_a_module_refuses_in_its_own_words_at_the_field(page: Page) -> None:
    ask_for(page, "^(mig-demo$")

    page.get_by_role("button", name="Review").click()

    expect(page.locator(".field.wrong label").first).to_have_text("name")
    expect(page.get_by_label("name", exact=True)).to_have_value("^(mig-demo$")
    expect(page.get_by_role("alert").first).to_contain_text("file: searches.s1.names[0]")


def test_several_operations_make_one_question(page: Page) -> None:
    ask_for(page, "^motd$", "migagenthost1")
    page.get_by_label("or first add").select_option("ping")
    page.get_by_role("button", name="Add an operation").click()
    expect(page.get_by_label("Target", exact=True)).to_have_value("migagenthost1")
    page.get_by_role("button", name="Remove operation 1").click()
    expect(page.get_by_text("In this question already")).to_have_count(0)
    ask_for(page, "^motd$", "")
    page.get_by_label("or first add").select_option("file")
    page.get_by_role("button", name="Add an operation").click()
    page.get_by_label("path", exact=True).fill("/tmp")
    page.get_by_label("name", exact=True).fill("^x$")
    page.get_by_role("button", name="Review").click()

    operations = json.loads(page.locator("#signed").inner_text())["operations"]

    assert [one["parameters"]["searches"]["s1"]["paths"] for one in operations] == [["etc"], ["/tmp"]]
    expect(page.locator("#command")).to_have_text("mig ask question.json -t 'status='\"'\"'online'\"'\"''")


def test_the_command_line_and_the_saved_file_ask_the_same(page: Page, site: Fleet, folder: object) -> None:
    ask_for(page, "^motd$", "migagenthost1")
    page.get_by_role("button", name="Review").click()
    shown = json.loads(page.locator("#signed").inner_text())
    words = shlex.split(page.locator("#command").inner_text())
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as file").click()

    by_words = site.mig(*words[1:], "--dry-run")
    by_file = site.mig("ask", str(download.value.path()), "--dry-run")

    for ran in (by_words, by_file):
        asked = json.loads(ran.stdout.splitlines()[0])
        assert (asked["operations"], asked["target"]) == (shown["operations"], shown["target"]), ran.stderr


def test_rows_are_filtered_sorted_and_stacked_and_the_address_is_a_link_to_it(page: Page) -> None:
    ask_for(page, "^(motd|hostname)$")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Sign and ask").click()
    expect(page.locator(".legend")).to_have_text("4 answered")
    expect(page.locator("#rows tbody tr")).to_have_count(8)

    page.get_by_label("Filter file").fill("motd")
    page.get_by_label("Filter file").press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(4)
    page.get_by_role("link", name="agent", exact=True).click()
    expect(page.locator("#rows tbody tr").first).to_contain_text("migagenthost1")
    page.get_by_role("link", name="agent ▲").click()
    expect(page.locator("#rows tbody tr").first).to_contain_text("migworkstation")
    page.get_by_label("Where", exact=True).fill("siz > 3")
    page.get_by_label("Where", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean size")
    page.get_by_label("Where", exact=True).fill("agent = 'migagenthost3'")
    page.get_by_label("Where", exact=True).press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page.get_by_label("Filter file")).to_have_value("motd")

    page.get_by_role("link", name="All rows").click()
    expect(page.locator("#rows tbody tr")).to_have_count(8)
    page.get_by_label("Values of").select_option("size")
    expect(page.locator("#stack tbody tr").first).to_contain_text("9")


def test_an_answer_explains_itself_and_can_be_had_whole(page: Page, site: Fleet) -> None:
    action = site.detach("file", "-t", "all", "-path", "/nonexistent", "-name", "x")
    site.ended(action)
    page.goto(f"/actions/{action}")
    expect(page.locator("#coverage tbody tr").first).to_contain_text("not looked at")

    page.locator("#coverage").get_by_role("link", name="migagenthost1").first.click()

    expect(page.locator("body")).to_contain_text("success: the agent ran every operation")
    with page.expect_download() as download:
        page.get_by_role("link", name="The whole answer").click()
    whole = json.loads(download.value.path().read_text())
    assert whole["agentname"] == "migagenthost1"
    assert whole["proof"]["envelope"]["payloadType"] == "application/vnd.mig.result.v3+json"


def test_a_question_is_cancelled_by_a_signature_over_what_is_shown(page: Page, site: Fleet) -> None:
    action = site.detach("file", "-t", "migagenthost3", "-path", "/", "-content", "nowhere-to-be-found", "-e", "10m")
    page.goto(f"/actions/{action}")
    page.get_by_label("Reason for cancelling").fill("a mistake")
    page.get_by_role("button", name="Cancel it").click()
    shown = json.loads(page.locator("#signed").inner_text())
    page.get_by_role("button", name="Sign the cancel").click()

    expect(page.locator("#live")).to_contain_text("cancelled")
    assert (shown["action"], shown["reason"]) == (action, "a mistake")
    assert site.action(action)["cancelled"]


def test_it_is_added_to_a_case(page: Page, site: Fleet) -> None:
    action = site.detach("file", "-t", "all", "-path", "etc", "-name", "^motd$")
    site.ended(action)
    page.goto(f"/actions/{action}")

    page.get_by_label("Name of a case").fill("breach-1")
    page.get_by_role("button", name="Add to case").click()

    expect(page.get_by_role("heading", name="Added to case breach-1")).to_be_visible()


def test_a_file_and_a_pack_open_as_questions(page: Page) -> None:
    page.goto("/ask")
    page.get_by_label("An action file").fill(
        '{"syntaxversion": 3, "name": "x", "target": "all", "operations": [{"module": "ping", "parameters": {}}]}'
    )
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_role("group", name="In this question already")).to_contain_text("ping")

    page.goto("/ask")
    page.get_by_role("link", name="root-accounts").click()

    expect(page.get_by_role("group", name="In this question already")).to_contain_text("account")


def test_a_pack_of_indicators_opens_as_a_question_whose_rows_are_first_shown_with_its_condition(page: Page) -> None:
    page.goto("/ask")
    page.get_by_role("link", name="compromised-packages").click()
    expect(page.get_by_role("group", name="In this question already")).to_contain_text("event[-_.]+stream")
    for left in (3, 2):  # npm's and Python's look everywhere
        page.get_by_role("button", name="Remove operation 2").click()
        expect(page.get_by_role("button", name=re.compile("Remove operation"))).to_have_count(left)
    page.get_by_role("button", name="Review").last.click()
    page.get_by_role("button", name="Sign and ask").click()

    expect(page).to_have_url(re.compile(r"/actions/.*where="))
    expect(page.locator("#rows-form [name=where]")).to_have_value(re.compile(r"name ~\* '\^\S*event"))
    expect(page.locator("#rows")).to_contain_text("agents answered")
    expect(page.locator("#rows .problem")).to_have_count(0)
