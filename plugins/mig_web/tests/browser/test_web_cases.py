"""Cases, in a browser: begun, filled, noted in, exported, and the file verified."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from mig_core.testing.fleet import Fleet


def test_a_case_is_begun_filled_and_given_to_others_who_can_check_it(page: Page, site: Fleet, folder: Path) -> None:
    from playwright.sync_api import expect

    action = site.detach("file", "-path", "/etc", "-name", "^hostname$")
    assert site.mig("action", "follow", action).returncode == 0

    page.goto("/cases")
    page.get_by_label("New case").fill("break-in")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("Write down").fill("first line <b>\nsecond line")
    page.get_by_role("button", name="Keep").click()
    page.get_by_label("Add a question").fill(action)
    page.get_by_role("button", name="Fetch").click()

    expect(page.get_by_role("region", name="Notes")).to_contain_text("first line <b>")
    expect(page.get_by_role("region", name="Questions").get_by_role("row").nth(1)).to_contain_text("completed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Sign and save").click()
    download.value.save_as(folder / "break-in.zip")

    page.goto("/verify")
    page.get_by_label("File on this machine").fill(str(folder / "break-in.zip"))
    page.get_by_role("button", name="Check").click()

    expect(page.get_by_role("status")).to_contain_text("good")
    expect(page.get_by_role("status")).not_to_contain_text("WRONG")
    page.goto("/cases")
    expect(page.get_by_role("row", name="break-in")).to_be_visible()


def test_what_is_no_case_file_is_refused(page: Page, folder: Path) -> None:
    from playwright.sync_api import expect

    (folder / "x.zip").write_text("no archive")
    os.mkfifo(folder / "pipe.zip")

    for path in (str(folder / "x.zip"), str(folder / "pipe.zip"), "~nobody-of-this-name/x.zip"):
        page.goto("/verify")
        page.get_by_label("File on this machine").fill(path)
        page.get_by_role("button", name="Check").click()

        expect(page.get_by_role("alert")).to_contain_text(path.rpartition("/")[2])
