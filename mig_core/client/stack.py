"""Stacks: values of columns, each with how many endpoints have it, counted at the platform."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from mig_core.client import notebook
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.client.client import MigClient
    from mig_core.domain.document import JSON

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stacked:
    """One value, or one combination of values."""

    value: Mapping[str, JSON]
    """Column name -> cell; a column without a value is missing."""
    endpoints: int
    """How many have it."""
    share: float
    """Of the endpoints that answered, from 0 to 1."""
    first: str
    """The first endpoint by name that has it."""
    last: str

    @property
    def text(self) -> str:
        """The value in one line."""
        return ", ".join("?" if cell is None else str(cell) for cell in self.value.values()) or "(no value)"


@dataclass(frozen=True, slots=True, repr=False)
class Stack:
    """Values by how many endpoints have them. Iterate over it."""

    columns: tuple[str, ...]
    entries: tuple[Stacked, ...]
    values: int
    """How many different ones there are; ``entries`` may have fewer."""
    account: Document
    """Every endpoint that was asked, and what rows can say about it: ``targeted``, ``counts``, ``answered``,
    ``partial`` (did not look at everything), ``withrows`` …"""

    def __iter__(self) -> Iterator[Stacked]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<Stack of {', '.join(self.columns)}: {self.summary}>"

    @property
    def summary(self) -> str:
        """``"3 values on 4 endpoints; 4 of 4 answered"``, and how many of these did not look at everything."""
        partial = self.account["partial"]
        rest = f", {partial} of them not completely" if partial else ""
        return (
            f"{self.values} {'value' if self.values == 1 else 'values'} on {self.account['withrows']} endpoints;"
            f" {self.account['answered']} of {self.account['targeted']} answered{rest}"
        )

    def to_pandas(self) -> Any:
        """A pandas data frame: the columns, ``endpoints``, ``share``, ``first``, ``last``.

        Raises:
            MigError: pandas is not installed.
        """
        pandas = notebook.imported("pandas")
        frame = pandas.DataFrame(
            [
                {**one.value, "endpoints": one.endpoints, "share": one.share, "first": one.first, "last": one.last}
                for one in self.entries
            ],
            columns=[*self.columns, "endpoints", "share", "first", "last"],
        )
        frame.attrs = {"account": self.account}
        return frame

    def plot(self, title: str = "") -> Any:
        """Horizontal bars, the first value on top; the axes of matplotlib.

        Raises:
            MigError: matplotlib is not installed.
        """
        heading = title or f"{', '.join(self.columns)}: {self.summary}"
        return notebook.plot_values(heading, [(one.text, one.endpoints) for one in self.entries])

    def _repr_html_(self) -> str:
        """For Jupyter."""
        head = "".join(f"<th>{escape(visible(one))}</th>" for one in (*self.columns, "endpoints", "share", "first"))
        body = "".join(
            "<tr>"
            + "".join(f"<td>{notebook.cell_html(one.value, column)}</td>" for column in self.columns)
            + f"<td>{one.endpoints}</td><td>{one.share:.1%}</td><td>{escape(visible(one.first))}</td></tr>"
            for one in self.entries
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<div>{escape(self.summary)}</div>{table}"


def stack_answers(
    client: MigClient, action: Document, columns: Sequence[str], *, where: str, rare: bool, limit: int
) -> Stack:
    """Stacks the answers that there are now.

    Args:
        columns: 1 to 8.
        where: only rows that fit: a condition in the target language's operators.
        rare: the least frequent first.
        limit: most values; 0: all.

    Raises:
        ConditionError: ``where`` is no condition on these columns.
        ApiError: there is no such column.
    """
    from mig_core.client.shapes import shapes_of
    from mig_core.domain.reading.reading import MAX_PAGE, StackWish, choice

    wish = StackWish(choice(shapes_of(client, action), where), tuple(columns), rare=rare, limit=limit or MAX_PAGE)
    pages = client.stack(str(action["id"]), wish)
    first = next(pages)
    items = itertools.chain(first["items"], (one for page in pages for one in page["items"]))
    entries = tuple(
        Stacked(
            one["value"],
            one["endpoints"],
            one["endpoints"] / one["answered"] if one["answered"] else 0.0,
            one["first"],
            one["last"],
        )
        for one in (itertools.islice(items, limit) if limit else items)
    )
    return Stack(tuple(first["columns"]), entries, first["values"], first["account"])
