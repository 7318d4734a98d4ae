"""What plugins print their answers with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.result import Coverage, Skipped
from mig_core.plugin import printing
from mig_core.plugin.printing import coverage_lines, duration_text, entries, mapping, printable

UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "µs": 10**3, "ns": 1}


@given(st.text())
def test_anything_becomes_one_line_without_control_characters(text: str) -> None:
    shown = printable(text)

    assert len(shown.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f]", shown)


def test_what_is_harmless_stays_as_it_is() -> None:
    assert printable("/srv/Grüße 日本 'x'") == "/srv/Grüße 日本 'x'"
    assert printable("a\nb\x1b[31m\x7f\x85") == "a\\x0ab\\x1b[31m\\x7f\\x85"


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "ab"])
def test_what_is_neither_object_nor_array_is_an_empty_one(value: Any) -> None:
    assert mapping(value) == {}
    assert entries(value) == []


def test_objects_and_arrays_are_not_mistaken_for_each_other() -> None:
    assert mapping({"a": 1}) == {"a": 1}
    assert entries([1, 2]) == [1, 2]
    assert mapping([1, 2]) == {}
    assert entries({"a": 1}) == []


def test_a_complete_look_at_everything_needs_no_line() -> None:
    assert list(coverage_lines(Coverage(examined={"files": 7}))) == []


def test_each_reason_has_a_line_and_an_incomplete_answer_says_so() -> None:
    coverage = Coverage(False, {}, (Skipped("no access", 3, ("/a\n", "/b")), Skipped("too large", 1)))

    assert list(coverage_lines(coverage)) == [
        "Not looked at: 3 no access (/a\\x0a, /b)",
        "Not looked at: 1 too large",
        "The answer is not complete.",
    ]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (7, "7ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (119_457, "119.457µs"),
        (1_634_247, "1.634247ms"),
        (10_000_000, "10ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (2_165_011_816, "2.165011816s"),
        (10_000_000_001, "10.000000001s"),
        (60_000_000_000, "1m0s"),
        (100_050_000_000, "1m40.05s"),
        (3_600_500_000_000, "1h0m0.5s"),
        (360_000_000_000_000, "100h0m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text


@given(st.integers(0, 10**17))
def test_no_nanosecond_of_a_duration_is_lost(nanoseconds: int) -> None:
    parts = re.findall(r"(\d+)(?:\.(\d+))?(h|ms|m|µs|ns|s)", duration_text(nanoseconds))

    total = sum(int(whole + part) * UNITS[unit] // 10 ** len(part) for whole, part, unit in parts)
    assert total == nanoseconds


def test_importing_it_loads_the_standard_library_only() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import mig_core.plugin.printing\n"
        "loaded = set(sys.modules) - before\n"
        "print(sorted(name for name in loaded if name.partition('.')[0] not in sys.stdlib_module_names))"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "['mig_core', 'mig_core.plugin', 'mig_core.plugin.printing', 'mig_core.text']"


def test_the_page_for_plugin_authors_names_every_function() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    public = set(printing.__all__)

    table = page.partition("| function | gives |")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(\w+)\([\w, ]+\)`", table)) == public
