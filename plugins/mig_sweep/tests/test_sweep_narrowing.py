"""The condition on rows that goes with a list of packages, and packs as other programs read them."""

from __future__ import annotations

import pytest

from mig_sweep.assistant import packs
from mig_sweep.documents.lists import read_list
from mig_sweep.narrowing import condition_of
from mig_sweep.pack import Pack
from mig_sweep.plan import Settings, plan_of


def condition(*lines: str) -> str:
    return condition_of(plan_of(read_list("\n".join(lines), "x"), Settings()).indicators)


def test_a_listed_version_is_looked_for_within_what_a_row_says() -> None:
    assert condition("pkg:npm/ua-parser-js@0.7.29", "pkg:npm/ua-parser-js@1.0.0") == (
        "(name ~* '^ua[-_.]+parser[-_.]+js(:[a-z0-9-]+)?$' AND"
        " (version IS NULL OR version ILIKE '%0.7.29%' OR version ILIKE '%1.0.0%'))"
    )


@pytest.mark.parametrize("lines", [("pkg:rpm/fedora/xz@>=5.6.0,<5.6.2",), ("pkg:pypi/x", "pkg:pypi/x@1")])
def test_where_a_condition_cannot_judge_the_version_it_leaves_all_in(lines: tuple[str, ...]) -> None:
    assert "version" not in condition(*lines)


def test_what_is_no_package_has_no_condition() -> None:
    assert condition("pkg:npm/coa@2.0.3", "192.0.2.7") == ""
    assert condition(*(f"pkg:npm/a{number}-{'x' * 50}@1" for number in range(200))) == ""


def test_a_pack_of_indicators_gives_its_operations_and_condition() -> None:
    pack = packs("compromised-packages")

    assert {one["module"] for one in pack["operations"]} == {"pkg"}
    assert "event[-_.]+stream" in pack["where"]
    assert pack["indicators"][0].startswith("pkg:npm/event-stream@3.3.6")
    assert not pack["unasked"]


def test_a_pack_that_cannot_be_asked_whole_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = Pack("x", 1, "?", "", (), "", "pkg:npm/coa@2.0.3\n/**\n", ())
    monkeypatch.setattr("mig_sweep.assistant.pack_of", lambda name: pack)

    assert packs("x")["unasked"] == "1 of its indicators cannot be asked"
    assert packs("x")["operations"] == []
