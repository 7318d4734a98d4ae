from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_endpoint.finding.expressions import mode_text, parse_age, parse_size
from mig_file.timetext import time_text


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("<1k", [0, 1024], [1025]),
        (">1k", [1024, 1 << 60], [1023]),
        ("1023", [1023], [1022, 1024]),
        ("2m", [2 << 20], [(2 << 20) + 1]),
        (">9000000000g", [], [1 << 62]),
    ],
)
def test_sizes_include_their_bound(text: str, inside: list[int], outside: list[int]) -> None:
    size = parse_size(text)

    assert all(map(size.holds, inside))
    assert not any(map(size.holds, outside))


@pytest.mark.parametrize("text", ["", "<", "<k", "k", "1K", "!1k", "< 1k", "1kb", "-1", "1.5k", "²", "1" * 21, "=1"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|large"):
        parse_size(text)


def test_ages_exclude_their_bound_and_the_future_is_young() -> None:
    now = 10**18
    hour = 3600 * 10**9

    younger, older = parse_age("<1h"), parse_age(">1h")

    assert younger.holds(now - hour + 1, now)
    assert younger.holds(now + hour, now)
    assert not younger.holds(now - hour, now)
    assert older.holds(now - hour - 1, now)
    assert not older.holds(now - hour, now)


@pytest.mark.parametrize("text", ["", "2d", "<d", "<30s", "<1", "<999999d", "=1d", "<1D", "< 1d"])
def test_what_is_not_an_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"age|years"):
        parse_age(text)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (stat.S_IFREG | 0o644, "-rw-r--r--"),
        (stat.S_IFREG | 0o4755, "urwxr-xr-x"),
        (stat.S_IFREG | 0o7777, "ugtrwxrwxrwx"),
        (stat.S_IFREG, "----------"),
        (stat.S_IFDIR | 0o755, "drwxr-xr-x"),
        (stat.S_IFDIR | 0o1777, "dtrwxrwxrwx"),
        (stat.S_IFLNK | 0o777, "Lrwxrwxrwx"),
        (stat.S_IFCHR | 0o666, "Dcrw-rw-rw-"),
        (stat.S_IFBLK | 0o660, "Drw-rw----"),
        (stat.S_IFIFO | 0o600, "prw-------"),
        (stat.S_IFSOCK | 0o600, "Srw-------"),
    ],
)
def test_modes_are_written_as_go_writes_them(mode: int, text: str) -> None:
    assert mode_text(mode) == text


def test_times_have_no_trailing_zeros() -> None:
    moment = 1_577_934_245 * 10**9

    assert time_text(moment) == "2020-01-02 03:04:05 +0000 UTC"
    assert time_text(moment + 956_905_560) == "2020-01-02 03:04:05.95690556 +0000 UTC"
    assert time_text(-86400 * 10**9) == "1969-12-31 00:00:00 +0000 UTC"


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_any_time_a_file_can_have_has_a_text(nanoseconds: int) -> None:
    text = time_text(nanoseconds)

    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // 10**9)
    assert text.startswith(expected.strftime("%m-%d %H:%M:%S").join([f"{expected.year:04d}-", ""]))
