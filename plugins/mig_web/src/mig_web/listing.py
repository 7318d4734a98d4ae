"""Going through a long list page by page, with everything in the address: links to any page can be sent."""

from __future__ import annotations

from dataclasses import dataclass

from mig_web.pages.exchange import address


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a page of a list stands, and the addresses of its neighbours."""

    path: str
    parameters: dict[str, str]
    """Without the cursor."""
    cursor: str
    """Of this page; empty: the first."""
    following: str
    """Cursor of the next page; empty: this is the last."""

    @property
    def first(self) -> str:
        """Address of the first page; empty where this is it."""
        return address(self.path, **self.parameters) if self.cursor else ""

    @property
    def next(self) -> str:
        """Address of the next page; empty on the last one."""
        return address(self.path, **self.parameters, cursor=self.following) if self.following else ""
