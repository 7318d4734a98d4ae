"""The condition on rows that goes with a list of packages, and packs as other programs read them."""

from __future__ import annotations

import re

import pytest

from mig_sweep.assistant import packs
from mig_sweep.documents.lists import read_list
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.narrowing import condition_of
from mig_sweep.pack import Pack
from mig_sweep.plan import Settings, plan_of
from mig_sweep.versions import is_affected


def condition(*lines: str) -> str:
    return condition_of(plan_of(read_list("\n".join(lines), "x"), Settings()).indicators)


def test_the_numbers_of_a_listed_version_are_looked_for_within_what_a_row_says() -> None:
    assert condition("pkg:npm/ua-parser-js@0.7.29", "pkg:npm/ua-parser-js@1.0.0") == (
        "(name ~* '^([^:]+:)?ua[-_.]+parser[-_.]+js(:[a-z0-9-]+)?$' AND"
        " (version IS NULL OR version ~ '^$|(^|[^0-9])(0*1|0+.0*7.0*29)([^0-9]|$)'))"
    )


@pytest.mark.parametrize(
    ("kind", "listed", "row"),
    [
        ("python", "1.2.0", "1.2"),
        ("python", "1.2", "1.2.0"),
        ("python", "2024.01.05", "2024.1.5"),
        ("python", "1.0.0-rc1", "1.0.0rc1"),
        ("python", "1!2.0", "1!2"),
        ("dpkg", "0:1.2", "1.2"),
        ("rpm", "5.6.0-01", "5.6.0-1"),
        ("jar", "1.0", "1"),
        ("gem", "3.0", "3"),
        ("go", "v1.3.4+incompatible", "v1.3.4"),
        ("npm", "1.0.1+build", "1.0.1"),
    ],
)
def test_a_row_whose_version_is_the_listed_one_in_another_spelling_is_left_in(kind: str, listed: str, row: str) -> None:
    """Left out, the page would show nothing where the list's judge finds a sign."""
    (expression,) = re.findall("version ~ '(.+)'", condition_of([package(kind, listed)]))

    assert is_affected(row, listed, kind)
    assert re.search(expression, row)
    assert re.search(expression, "")
    assert not re.search(expression, "77.31")


def package(kind: str, version: str) -> Indicator:
    return Indicator((Term(Kind.PACKAGE, "x"), Term(Kind.VERSION, version), Term(Kind.ECOSYSTEM, kind)), "x", "")


@pytest.mark.parametrize(
    "lines", [("pkg:rpm/fedora/xz@>=5.6.0,<5.6.2",), ("pkg:pypi/x", "pkg:pypi/x@1"), ("pkg:npm/x@latest",)]
)
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
