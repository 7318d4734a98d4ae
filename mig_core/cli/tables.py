"""Lists for people (aligned columns) and for programs (JSON)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli.terminal import data, flush
from mig_core.client.explanation import cancelled as cancelled
from mig_core.client.explanation import moment as moment
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_WIDEST = 60


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, widest: int = _WIDEST) -> None:
    """Aligned columns; the last one is not cut."""
    cells = [[_cell(value, widest, last=index == len(head) - 1) for index, value in enumerate(row)] for row in rows]
    widths = [max((len(row[index]) for row in [list(head), *cells]), default=0) for index in range(len(head))]
    for row in [list(head), *cells]:
        data("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())
    flush()


def document(value: Any) -> None:
    """A JSON document."""
    data(json.dumps(value, ensure_ascii=True, indent=2))


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """One ``name  value`` a line; empty values are left out."""
    kept = [(name, value) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        data(f"{name.ljust(width)}  {visible(text)}")
    flush()


def agent_state(agent: Mapping[str, Any]) -> str:
    """An agent's state, and whether two processes speak for it."""
    return f"{agent['state']}, two sessions" if agent.get("twosessions") else str(agent["state"])


def _cell(value: object, widest: int, *, last: bool) -> str:
    text = visible("" if value is None else str(value))
    return text if last or len(text) <= widest else text[: widest - 1] + "…"
