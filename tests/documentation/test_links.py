"""Pages point at one another, and at the code, with links that lead somewhere."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "plugins/*/README.md",
        "benchmarks/**/*.md",
        "compose/*.md",
        "findings/*.md",
    )
    for page in ROOT.glob(pattern)
)
HISTORY = "CHANGELOG.md"
_FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cells(row: str) -> int:
    """Into how many cells a row of a table is split."""
    return len(re.split(r"(?<!\\)\|", row.strip().strip("|")))


def leads_to(page: Path, text: str) -> Path | None:
    """The file of ours that a piece of code names, if it names one: a path, seen from the page or from the root.

    A name alone counts beside the page only: a plugin has a ``README.md`` too. What ``make`` made is no file of ours.
    """
    if not re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*/?", text) or not ("/" in text or text.endswith(".md")):
        return None
    for start in (page.parent, ROOT) if "/" in text else (page.parent,):
        found = start / text
        if found.exists() and not {ROOT / "dist", ROOT / "build"} & {found, *found.parents}:
            return found
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)}: {link}: there is no such heading"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != HISTORY], ids=name_of)
def test_a_file_of_ours_is_a_link_and_no_path_in_backticks(page: Path) -> None:
    linked = _LINK.sub("", prose(page))

    unlinked = [text for text in _CODE.findall(linked) if leads_to(page, text) is not None]

    assert not unlinked, f"{name_of(page)}: write these as links: {', '.join(unlinked)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_table_has_a_line_of_its_heading_s_cells_below_it(page: Path) -> None:
    lines = prose(page).splitlines()

    for heading, line in itertools.pairwise(lines):
        if re.fullmatch(r"\|( *:?-+:? *\|)+", line.strip()):
            assert cells(heading) == cells(line), heading
