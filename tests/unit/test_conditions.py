"""Conditions on columns: what a filter of each kind lets through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.conditions import ColumnFilter, FlagFilter, check_condition

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def holds(kind: ColumnKind, asked: str | list[str], cell: JSON) -> bool | None:
    values = [asked] if isinstance(asked, str) else asked
    return ColumnFilter(Column("it", kind, "it"), values, now=NOW).holds(cell)


FITS = [
    (ColumnKind.TEXT, "^ssh", "sshd"),
    (ColumnKind.TEXT, "hd$", "sshd"),
    (ColumnKind.TEXT, "^sshd$", "sshd"),
    (ColumnKind.TEXT, "sh", "sshd"),
    (ColumnKind.TEXT, "(?i)SSH", "sshd"),
    (ColumnKind.TEXT, "s+h", "sshd"),
    (ColumnKind.TEXT, r"a\.b", "a.b"),
    (ColumnKind.PATH, "^/(tmp|var/tmp)/", "/var/tmp/x"),
    (ColumnKind.LIST, "^b", ["a", "bc"]),
    (ColumnKind.INTEGER, "22", 22),
    (ColumnKind.INTEGER, "<1024", 1023),
    (ColumnKind.INTEGER, ">=22", 22),
    (ColumnKind.INTEGER, "80..90", 90),
    (ColumnKind.INTEGER, "-5..-1", -5),
    (ColumnKind.INTEGER, "!22", 23),
    (ColumnKind.SIZE, ">1k", 1025),
    (ColumnKind.SIZE, "1k..1M", 1 << 20),
    (ColumnKind.DURATION, "<1h", 3599.5),
    (ColumnKind.DURATION, ">-2s", -1.5),
    (ColumnKind.TIME, "<1h", "2026-11-23T11:30:00Z"),
    (ColumnKind.TIME, "<1h", "2027-01-01T00:00:00Z"),
    (ColumnKind.TIME, ">7d", "2026-11-01T00:00:00Z"),
    (ColumnKind.TIME, ">7d", "@-99999999999"),
    (ColumnKind.TIME, "2026-11-23", "2026-11-23T23:59:59.9Z"),
    (ColumnKind.TIME, "2026-11-21..2026-11-22", "2026-11-22T23:00:00Z"),
    (ColumnKind.TIME, ">2026-11-01", "2026-11-01T00:00:01Z"),
    (ColumnKind.TIME, "<2026-11-01T12:00:00Z", "2026-11-01T11:59:59Z"),
    (ColumnKind.ADDRESS, "10.0.0.0/8", "10.1.2.3"),
    (ColumnKind.ADDRESS, "10.1.2.3", "::ffff:10.1.2.3"),
    (ColumnKind.ADDRESS, "::ffff:10.0.0.0/104", "10.1.2.3"),
    (ColumnKind.ADDRESS, "::/0", "::ffff:10.1.2.3"),
    (ColumnKind.ADDRESS, "fe80::/10", "fe80::1%eth0"),
    (ColumnKind.ADDRESS, "FD00::2", "fd00:0::2"),
    (ColumnKind.ADDRESS, "192.0.2.1", "192.0.2.1/24"),
    (ColumnKind.HASH, "ABCD", "abcd"),
    (ColumnKind.HASH, "SHA256:aBc", "SHA256:aBc"),
]
FAILS = [
    (ColumnKind.TEXT, "^hd", "sshd"),
    (ColumnKind.TEXT, "!ssh", "sshd"),
    (ColumnKind.LIST, "!^b", ["a", "bc"]),
    (ColumnKind.INTEGER, "!22", 22),
    (ColumnKind.INTEGER, "<1024", 1024),
    (ColumnKind.TIME, "<1h", "2026-11-23T10:59:59Z"),
    (ColumnKind.TIME, "2026-11-22", "2026-11-23T00:00:00Z"),
    (ColumnKind.TIME, "<1h", "not a time"),
    (ColumnKind.ADDRESS, "10.0.0.0/8", "11.1.2.3"),
    (ColumnKind.ADDRESS, "::/0", "11.1.2.3"),
    (ColumnKind.ADDRESS, "0.0.0.0/0", "/run/socket"),
    (ColumnKind.HASH, "abc", "abcd"),
    (ColumnKind.HASH, "SHA256:abc", "SHA256:aBc"),
]


@pytest.mark.parametrize(("kind", "asked", "cell"), FITS)
def test_a_cell_that_fits(kind: ColumnKind, asked: str, cell: JSON) -> None:
    check_condition(kind, asked)

    assert holds(kind, asked, cell) is True


@pytest.mark.parametrize(("kind", "asked", "cell"), FAILS)
def test_a_cell_that_does_not_fit(kind: ColumnKind, asked: str, cell: JSON) -> None:
    assert holds(kind, asked, cell) is False


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (ColumnKind.TEXT, ""),
        (ColumnKind.TEXT, "("),
        (ColumnKind.TEXT, "(a*)*b{2}{3}"),
        (ColumnKind.TEXT, "!("),
        (ColumnKind.INTEGER, "x"),
        (ColumnKind.INTEGER, "9..1"),
        (ColumnKind.INTEGER, "1.5"),
        (ColumnKind.SIZE, "-1"),
        (ColumnKind.SIZE, "1x"),
        (ColumnKind.TIME, "1h"),
        (ColumnKind.TIME, "<1x"),
        (ColumnKind.TIME, "2026-02-30"),
        (ColumnKind.TIME, "2026-11-02..2026-11-01"),
        (ColumnKind.ADDRESS, "host.example"),
        (ColumnKind.DURATION, "5"),
    ],
)
def test_what_is_no_condition_is_refused_with_how_to_write_one(kind: ColumnKind, asked: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_condition(kind, asked)


def test_several_plain_values_mean_any_of_them() -> None:
    assert holds(ColumnKind.INTEGER, ["22", "80", ">1000"], 80)
    assert holds(ColumnKind.INTEGER, ["22", "80", ">1000"], 1001)
    assert not holds(ColumnKind.INTEGER, ["22", "80", ">1000"], 443)


def test_several_inverted_values_mean_none_of_them() -> None:
    assert holds(ColumnKind.INTEGER, ["!22", "!80"], 443)
    assert not holds(ColumnKind.INTEGER, ["!22", "!80"], 80)


def test_plain_and_inverted_values_must_both_hold() -> None:
    asked = ["10.0.0.0/8", "!10.1.0.0/16"]

    assert holds(ColumnKind.ADDRESS, asked, "10.2.0.1")
    assert not holds(ColumnKind.ADDRESS, asked, "10.1.0.1")
    assert not holds(ColumnKind.ADDRESS, asked, "192.0.2.1")


@pytest.mark.parametrize("asked", ["22", "!22", ">1"])
def test_a_cell_that_is_not_known_neither_fits_nor_not(asked: str) -> None:
    assert holds(ColumnKind.INTEGER, asked, None) is None


def test_without_a_value_no_plain_condition_fits_and_every_inverted_one_does() -> None:
    column = Column("exe", ColumnKind.PATH, "program")

    assert ColumnFilter(column, ["."], now=NOW).holds(None, present=False) is False
    assert ColumnFilter(column, ["!^/usr"], now=NOW).holds(None, present=False) is True


def test_a_flag_counts_no_value_as_false() -> None:
    column = Column("deleted", ColumnKind.BOOLEAN, "whether it is deleted")

    assert FlagFilter(column, wanted=False).holds(None, present=False) is True
    assert FlagFilter(column, wanted=True).holds(True) is True
    assert FlagFilter(column, wanted=True).holds(None) is None


def test_single_values_can_be_looked_up_beforehand() -> None:
    column = Column("pid", ColumnKind.INTEGER, "id")

    assert ColumnFilter(column, ["1", "7", "!3"], now=NOW).only == frozenset({1, 7})
    assert ColumnFilter(column, ["1", ">7"], now=NOW).only is None
    assert ColumnFilter(column, ["!7"], now=NOW).only is None


def test_no_expression_makes_a_long_text_slow() -> None:
    assert holds(ColumnKind.TEXT, "^(a|aa|a?a)*$", "a" * 20_000 + "b") is False


@given(kind=st.sampled_from(sorted(ColumnKind, key=lambda one: one.value)), asked=st.text(max_size=30))
def test_any_text_is_a_condition_or_is_refused(kind: ColumnKind, asked: str) -> None:
    try:
        check_condition(kind, asked)
    except ValueError:
        return
    cells: tuple[JSON, ...] = (None, "x", 3, 1.5, ["x"], "2026-11-23T11:30:00Z", "10.0.0.1")
    for cell in cells:
        holds(kind, asked, cell)
