"""``docs/assurance.md`` names tests that there are, and its fault matrix is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ("tests/**/test_*.py", "mig_core/testing/**/*.py")
FAULTS = (
    *("kill -9", "full disk", "poison message", "torn upload", "slow head"),
    *("clone", "clock ahead", "alarm", "read-only database", "revoked key"),
)
_MARKED = re.compile(r'^@pytest\.mark\.fault\("([^"]+)"\)\n(?:@.*\n)*(?:async )?def (test_\w+)', re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> dict[str, list[str]]:
    """fault -> the cells of its row: https, amqp, kept by."""
    matrix = page.split("### The fault matrix", 1)[1].split("### ", 1)[0]
    lines = re.findall(r"^\| (.+) \|$", matrix, re.MULTILINE)[1:]
    return {name: cells for name, *cells in (line.split(" | ") for line in lines)}


@pytest.fixture(scope="module")
def sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for pattern in PATTERNS for path in ROOT.glob(pattern)]


def test_each_row_is_kept_by_a_test_that_exists(page: str, sources: list[str]) -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))

    there = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}

    assert named
    assert named - there == set()


def test_the_fault_matrix_says_of_each_fault_what_happens_on_each_relay(rows: dict[str, list[str]]) -> None:
    assert tuple(rows) == FAULTS
    for cells in rows.values():
        *relays, _kept = cells
        assert len(relays) == 2
        assert all(re.fullmatch(r"yes|alike(: .+)?|no: .{20,}", cell) for cell in relays)


def test_the_fault_matrix_and_the_marks_of_its_tests_agree(rows: dict[str, list[str]], sources: list[str]) -> None:
    written = {(fault, test) for fault, cells in rows.items() for test in re.findall(r"`(test_\w+)`", cells[-1])}

    marked = {pair for source in sources for pair in _MARKED.findall(source)}

    assert written == marked


def test_what_holds_on_both_relays_is_tried_on_both(rows: dict[str, list[str]], sources: list[str]) -> None:
    for fault, (https, amqp, kept) in rows.items():
        if (https, amqp) != ("yes", "yes"):
            continue
        files = [source for source in sources for test in re.findall(r"`(test_\w+)`", kept) if f"def {test}(" in source]
        on_fleets = any("fleet_relay" in source for source in files)
        on_each = any("api_site" in source for source in files) and any("AmqpAgentRelay" in source for source in files)
        assert on_fleets or on_each, fault
