"""What endpoints send is shown and never obeyed; and ten thousand of them fit into a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from mig_core.testing.store_scale import fill_with_answers

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from mig_core.testing.fleet import Fleet

SCRIPT = "</td></table><script>window.obeyed=1</script><img src=x onerror=window.obeyed=1>"
NAMES = (f"host{SCRIPT}", "host\u202egnp.exe", "host'\"--{{7*7}}${7*7}", "host\u2066\u200b\x1b[2J\r\nSet-Cookie: a=b")
LONG = "A" * 5_000_000 + "the end"


def answer(*files: str, reason: str = "") -> list[Any]:
    """Results of one operation of ``file``."""
    skipped = [{"reason": reason, "count": 3, "examples": [reason]}] if reason else []
    return [
        {
            "foundanything": True,
            "success": True,
            "elements": {"s1": [{"file": one, "fileinfo": {"size": len(one)}} for one in files]},
            "statistics": {"totalhits": len(files)},
            "errors": [reason] if reason else None,
            "coverage": {"complete": not reason, "examined": {"files": 1}, "skipped": skipped},
        }
    ]


def ended_question(site: Fleet) -> str:
    """A question that was asked of nobody and has ended."""
    action = site.detach("file", "-t", "name = 'nobody'", "-path", "etc", "-name", "x")
    site.ended(action)
    return action


@pytest.fixture(scope="module")
def hostile(site: Fleet) -> str:
    """A question that hostile agents answered."""
    action = ended_question(site)
    answers = [(name, answer(f"/tmp/{name}", SCRIPT, reason=f"{SCRIPT}\u202e")) for name in NAMES]
    fill_with_answers(site.platform.postgres.url(), action, [*answers, ("long", answer(LONG))])
    return action


@pytest.fixture(scope="module")
def many(site: Fleet) -> str:
    """A question that ten thousand agents answered."""
    action = ended_question(site)
    answers = ((f"many{number:05}", answer(f"/usr/bin/{number % 7}")) for number in range(10_000))
    fill_with_answers(site.platform.postgres.url(), action, answers)
    return action


def unharmed(page: Page) -> None:
    """Nothing that an endpoint sent has become a part of the page, and nothing of it is invisible."""
    assert page.evaluate("window.obeyed") is None
    assert page.locator("#main script, #main img").count() == 0
    assert page.context.cookies()[0]["name"].startswith("mig-web-")
    shown = page.locator("#main").inner_text()
    assert not {"\u202e", "\u2066", "\u200b", "\x1b"} & set(shown)


def test_names_rows_reasons_and_errors_of_endpoints_are_texts(page: Page, hostile: str) -> None:
    page.goto(f"/actions/{hostile}")
    expect(page.locator("#rows tbody tr")).to_have_count(9)
    expect(page.locator("#coverage")).to_contain_text("<script>window.obeyed=1</script>")
    expect(page.locator("#coverage")).to_contain_text("Out of 5 answers.")
    expect(page.locator("#rows")).to_contain_text("host\\u202egnp.exe")
    expect(page.locator("#rows")).to_contain_text("{{7*7}}${7*7}")
    unharmed(page)

    page.get_by_label("Values of").select_option("file")
    expect(page.locator("#stack tbody tr").first).to_contain_text("<img src=x onerror=window.obeyed=1>")
    unharmed(page)
    page.locator("#stack tbody a").first.click()
    expect(page.locator("#rows tbody tr")).to_have_count(4)

    page.locator("#rows tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("host")
    unharmed(page)
    page.goto("/?state=retired")
    expect(page.locator("#agents")).to_contain_text("host\\u202egnp.exe")
    unharmed(page)


def test_a_huge_cell_is_cut_with_a_note_and_can_be_had_whole(page: Page, hostile: str) -> None:
    page.goto(f"/actions/{hostile}?where=agent+%3D+%27long%27")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page.locator("#rows .cut")).to_have_text("… 5,000,007 characters")
    assert len(page.content()) < 100_000

    page.locator("#rows tbody a").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="The whole answer").click()

    whole = json.loads(download.value.path().read_text())
    assert whole["results"][0]["elements"]["s1"][0]["file"] == LONG


def test_ten_thousand_answers_are_paged_filtered_and_stacked(page: Page, many: str) -> None:
    page.goto(f"/actions/{many}")
    expect(page.locator(".legend")).to_have_text("10,000 answered")
    expect(page.locator("#rows tbody tr")).to_have_count(100)

    page.keyboard.press("n")
    expect(page.locator("#rows tbody tr").first).to_contain_text("many00100")
    page.get_by_label("Filter agent").fill("= many09999")
    page.get_by_label("Filter agent").press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.get_by_role("link", name="All rows").click()
    expect(page.locator("#rows tbody tr")).to_have_count(100)
    page.get_by_label("Values of").select_option("file")
    expect(page.locator("#stack tbody tr").first).to_contain_text("1,429")
    expect(page.locator("#coverage")).to_contain_text("Out of 10,000 answers.")
    expect(page.locator("#coverage")).to_contain_text("looked at everything it was asked about")
