"""Lists that never end are ended here: whatever a server says, nobody is held for ever."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.client import pages
from mig_core.client.follow import follow_events
from mig_core.client.pages import read_pages
from mig_core.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_all_pages_are_read_and_a_limit_is_kept() -> None:
    asked: list[tuple[str, int]] = []

    def fetch(cursor: str, size: int) -> Any:
        asked.append((cursor, size))
        first = int(cursor or 0)
        last = min(first + size, 450)
        return {"items": [{"n": number} for number in range(first, last)], "cursor": str(last) if last < 450 else ""}

    whole = [one["n"] for one in read_pages(fetch, "u", None)]
    some = [one["n"] for one in read_pages(fetch, "u", 250)]

    assert whole == list(range(450))
    assert some == list(range(250))
    assert asked[-2:] == [("", 200), ("200", 50)]


@pytest.mark.parametrize(
    "cursors",
    [
        lambda _number: "x",
        lambda number: "abc"[number % 3],
    ],
    ids=["always the same", "a ring"],
)
def test_a_cursor_that_comes_again_ends_the_list_as_an_error(cursors: Any) -> None:
    numbers = itertools.count()
    read = []

    with pytest.raises(ApiUnavailable, match="without end"):
        for one in read_pages(
            lambda _cursor, _size: {"items": [{"n": 1}], "cursor": cursors(next(numbers))}, "u", None
        ):
            read.append(one)

    assert len(read) < 6


def test_pages_with_nothing_in_them_and_another_cursor_are_no_list() -> None:
    numbers = itertools.count()

    with pytest.raises(ApiUnavailable, match="without end"):
        list(read_pages(lambda _cursor, _size: {"items": [], "cursor": str(next(numbers))}, "u", None))


def test_a_list_that_always_has_another_entry_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_ENTRIES", 1000)
    numbers = itertools.count()
    read = []

    with pytest.raises(ApiUnavailable, match="more than 1000"):
        for one in read_pages(lambda _cursor, size: {"items": [{}] * size, "cursor": str(next(numbers))}, "u", None):
            read.append(one)

    assert len(read) == 1000


@given(
    page=st.none()
    | st.integers()
    | st.fixed_dictionaries(
        {},
        optional={
            "items": st.none() | st.text() | st.lists(st.none() | st.just({"n": 1}), max_size=300),
            "cursor": st.none() | st.integers() | st.text(max_size=5),
        },
    )
)
def test_whatever_a_server_calls_a_page_it_is_read_or_refused(page: Any) -> None:
    try:
        read = list(read_pages(lambda _cursor, _size: page, "u", None))
    except ApiUnavailable:
        return

    assert read == page["items"]


def test_answers_that_come_again_end_the_following() -> None:
    def connect(position: str) -> Iterator[bytes]:
        yield b'event: command\nid: 7\ndata: {"position": "%s"}\n\n' % position.encode()

    seen = []
    with pytest.raises(ApiUnavailable, match="without end"):
        for event in follow_events(connect, "", "u", monotonic=lambda: 0.0, sleep=lambda _seconds: None):
            seen.append(event)

    assert len(seen) == 1
