"""Options that turn answers into rows: ``--where``, ``--columns``, ``--sort``, ``--stack`` and their like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli.formats import Format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mig_core.domain.reading.shape import Shape
    from mig_core.domain.reading.where import Fact

WhereOption = Annotated[
    str, typer.Option("--where", help="Only rows that fit, like \"size > '10m' AND path LIKE '/tmp/%'\"")
]
ColumnsOption = Annotated[str, typer.Option("--columns", help="Only these columns, like path,size")]
SortOption = Annotated[str, typer.Option("--sort", help="By these columns; a - in front: the largest first")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=0, help="At most so many rows or values; 0: all")]
StackOption = Annotated[
    str, typer.Option("--stack", help="Values of these columns, each with how many endpoints have it")
]
RareOption = Annotated[
    int, typer.Option("--rare", min=0, help="With --stack: the N values that the fewest endpoints have")
]
GroupOption = Annotated[
    str, typer.Option("--group-by", help="Apart for each value of a tag: role; or of a fact: environment.os")
]
SHOWN_VALUES = 50
"""Values of a stack that are shown to a person, unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What was chosen."""

    where: str = ""
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    limit: int | None = None
    """0: all; None: what suits the format."""
    stack: tuple[str, ...] = ()
    rare: int = 0
    group_by: tuple[Fact, ...] = ()
    format: Format = Format.TEXT
    parquet: Path | None = field(default=None)

    @property
    def stacked(self) -> bool:
        """Whether values are counted, not rows shown."""
        return bool(self.stack or self.group_by)

    def check(self, shapes: Sequence[Shape | None]) -> None:
        """Holds the columns against what there is.

        Raises:
            typer.BadParameter: an option names a column that there is not; says which is near.
        """
        from mig_core.domain.target.names import suggest

        known = list(dict.fromkeys(one.name for shape in shapes if shape for one in shape.fields))
        if not known:
            modules = "its modules declare no columns, or are not installed here and not beside mig-api"
            raise typer.BadParameter(f"there are no rows to be had of this action: {modules}")
        for option, names in (("--columns", self.columns), ("--sort", self.sort), ("--stack", self.stack)):
            for name in names:
                bare = name.removeprefix("-") if option == "--sort" else name
                if bare not in known and not (option == "--sort" and bare == "agent"):
                    near = suggest(bare, known, f"there are: {', '.join(known)}")
                    raise typer.BadParameter(f"{option}: there is no column {bare!r:.60}; {near}")


def row_options(
    *,
    where: str = "",
    columns: str = "",
    sort: str = "",
    limit: int | None = None,
    stack: str = "",
    rare: int = 0,
    group_by: str = "",
    output: Format = Format.TEXT,
    parquet: Path | None = None,
) -> RowOptions | None:
    """The options as they were typed; None when none was given that makes rows of answers.

    Raises:
        typer.BadParameter: options that do not go together.
    """
    if limit is None and not any((where, columns, sort, stack, rare, group_by, parquet)):
        return None
    if rare and not (stack or group_by):
        raise typer.BadParameter("--rare counts values: it goes with --stack")
    if (stack or group_by) and (columns or sort):
        raise typer.BadParameter(
            "--stack shows the columns it names, by how many endpoints have them: it goes without --columns and --sort"
        )
    return RowOptions(
        where,
        names_of(columns),
        names_of(sort),
        limit,
        names_of(stack),
        rare,
        tuple(facts_of(group_by)),
        output,
        parquet,
    )


def names_of(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    return tuple(dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))))


def facts_of(text: str, option: str = "--group-by") -> list[Fact]:
    """Tags and facts with commas between them.

    Raises:
        typer.BadParameter: one is neither.
    """
    from mig_core.domain.reading.reading import read_fact
    from mig_core.domain.reading.where import Fact

    found = []
    for name in names_of(text):
        fact = read_fact(name) or (Fact("tags", (name,)) if "." not in name else None)
        if fact is None:
            raise typer.BadParameter(
                f"{option}: must be a tag, like role or tags.role, or environment.os, got {name!r:.60}"
            )
        found.append(fact)
    return found
