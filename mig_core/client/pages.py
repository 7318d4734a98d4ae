"""Lists that the API gives page by page, read to their end, which is here even if the other side has none.

A page says where the next one begins. A server that always names the same place, or goes round in a ring, or gives
pages with nothing in them, would hold a client for ever; one that always invents another entry does so up to a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 200
"""Entries asked for at once."""
MAX_ENTRIES = 1_000_000
"""Of one list: more than any platform has agents."""
MAX_CURSOR = 2048


def read_pages(fetch: Callable[[str, int], Any], url: str, limit: int | None) -> Iterator[dict[str, Any]]:
    """All entries, at most ``limit`` of them.

    Args:
        fetch: asks for the page that begins at a cursor, of at most so many entries.
        url: for errors.

    Raises:
        ApiUnavailable: a page is none, or the list does not come to an end.
    """
    cursor, read = "", 0
    seen: set[str] = set()
    most = MAX_ENTRIES if limit is None else limit
    while read < most:
        size = min(PAGE, most - read)
        items, cursor = read_page(fetch(cursor, size), url)
        if len(items) > size:
            raise ApiUnavailable(url, f"gave {len(items)} entries where {size} were asked for")
        yield from items
        read += len(items)
        if not cursor:
            return
        if cursor in seen or not items:
            raise ApiUnavailable(url, f"gives a list without end: after {read} entries it goes round in a ring")
        seen.add(cursor)
    if limit is None:
        raise ApiUnavailable(url, f"gives a list of more than {most} entries", next_step="ask for less")


def whole_pages(fetch: Callable[[str], Any], url: str) -> Iterator[dict[str, Any]]:
    """Pages that carry more than their entries, to the end. A page may be empty although there is another.

    Args:
        fetch: asks for the page that begins at a cursor.
        url: for errors.

    Raises:
        ApiUnavailable: a page is none, or they do not come to an end.
    """
    cursor = ""
    seen: set[str] = set()
    while True:
        document = fetch(cursor)
        _, cursor = read_page(document, url)
        yield document
        if not cursor:
            return
        if cursor in seen or len(seen) >= MAX_ENTRIES:
            raise ApiUnavailable(url, f"gives pages without end: after {len(seen)} they go round in a ring")
        seen.add(cursor)


def read_page(document: Any, url: str) -> tuple[list[dict[str, Any]], str]:
    """The entries of one page, and where the next one begins.

    Raises:
        ApiUnavailable: it is none.
    """
    items = document.get("items") if isinstance(document, dict) else None
    cursor = document.get("cursor") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items) or not isinstance(cursor, str):
        raise ApiUnavailable(url, "sent something else than a page of a list", next_step="is this mig-api?")
    if len(cursor) > MAX_CURSOR:
        raise ApiUnavailable(url, f"sent a cursor of {len(cursor)} characters")
    return items, cursor
