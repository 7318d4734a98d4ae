"""What is wanted of an action's rows, out of an address: condition, filters of columns, order, stack."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from mig_core.client.shapes import shapes_of
from mig_core.domain.column_kind import NUMBERS, ColumnKind
from mig_core.domain.reading.reading import Sorting, choice
from mig_web.pages.exchange import query

if TYPE_CHECKING:
    from falcon.asgi import Request

    from mig_core.client.client import MigClient
    from mig_core.domain.reading.reading import Choice
    from mig_core.domain.reading.shape import Field, Shape

PREFIX = "f."
MAX_ADDRESS = 60_000
_OPERATOR = re.compile(r"\s*(<>|!=|<<=|<=|>=|=|<|>|!~\*?|~\*?)\s*(.*)", re.DOTALL)


@dataclass(slots=True)
class Wanted:
    """What an address asks for."""

    where: str = ""
    sort: str = ""
    """A column, with ``-`` in front for the largest first; empty: by agent."""
    stack: str = ""
    """Columns with commas between them."""
    rare: bool = False
    filters: dict[str, str] = field(default_factory=dict)
    """Column -> what was typed in its field."""

    def parameters(self) -> dict[str, str]:
        """For an address."""
        filters = {f"{PREFIX}{name}": text for name, text in self.filters.items()}
        return {
            "where": self.where,
            **filters,
            "sort": self.sort,
            "stack": self.stack,
            "rare": "1" if self.rare else "",
        }

    def sorting(self) -> tuple[Sorting, ...]:
        """Always some: pages then have the length that was asked for."""
        name = self.sort.removeprefix("-") or "agent"
        by = Sorting(name, self.sort.startswith("-"))
        return (by,) if name == "agent" else (by, Sorting("agent"))


def wanted_of(request: Request) -> Wanted:
    """What an address asks for."""
    return _wanted({name: query(request, name) for name in request.params})


def wanted_there(request: Request) -> Wanted:
    """What the whole page's address asks for, which htmx sends along with a part's request; else the request's own."""
    page = request.get_header("HX-Current-URL")
    if page is None:
        return wanted_of(request)
    return _wanted(dict(parse_qsl(urlsplit(page[:MAX_ADDRESS]).query)))


def cursor_there(request: Request) -> str:
    """The page of the list that the whole page's address names."""
    page = request.get_header("HX-Current-URL") or ""
    return dict(parse_qsl(urlsplit(page[:MAX_ADDRESS]).query)).get("cursor", "")


def _wanted(parameters: dict[str, str]) -> Wanted:
    filters = {
        name.removeprefix(PREFIX): text for name, text in parameters.items() if name.startswith(PREFIX) and text.strip()
    }
    return Wanted(
        parameters.get("where", "").strip(),
        parameters.get("sort", ""),
        parameters.get("stack", ""),
        parameters.get("rare") == "1",
        filters,
    )


def chosen_of(client: MigClient, action: dict[str, Any], wanted: Wanted) -> tuple[Choice, tuple[Shape | None, ...]]:
    """The rows that are meant, and the shapes of all. Waits for the platform, perhaps.

    Raises:
        ConditionError: condition or filter cannot be read.
    """
    shapes = shapes_of(client, action)
    fields = {one.name: one for one in choice(shapes).fields()}
    conditions = [
        condition_of(fields.get(name), name, text)
        for name, text in wanted.filters.items()
        if name in {*fields, "agent"}
    ]
    if wanted.where:
        conditions.insert(0, f"({wanted.where})")
    return choice(shapes, " AND ".join(conditions)), shapes


def condition_of(column: Field | None, name: str, text: str) -> str:
    """The condition that a column's field means: ``> 10m``, ``= x``, ``~ ^a``, else: contains."""
    text = text.strip()
    kind = ColumnKind.TEXT if column is None else column.kind
    found = _OPERATOR.fullmatch(text)
    if found:
        return f"{name} {found[1]} {_value(kind, found[2].strip())}"
    if text.lower() in ("null", "?"):
        return f"{name} IS NULL"
    if kind in NUMBERS or kind is ColumnKind.BOOLEAN:
        return f"{name} = {_value(kind, text)}"
    if kind is ColumnKind.TIME:
        return f"{name} >= {_value(kind, text)}"
    if kind is ColumnKind.ADDRESS:
        return f"{name} <<= {_value(kind, text)}" if "/" in text else f"{name} = {_value(kind, text)}"
    pattern = re.sub(r"([\\%_])", r"\\\1", text)
    return f"{name} ILIKE {_quoted(f'%{pattern}%')}"


def equal_to(column: Field | None, name: str, value: Any) -> str:
    """The condition that a cell has a value; empty where none can say it."""
    if value is None:
        return ""
    kind = ColumnKind.TEXT if column is None else column.kind
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int | float):
        return f"{name} = {value}"
    if kind is ColumnKind.LIST or not isinstance(value, str) or len(value) > 1000:
        return ""
    return f"{name} = {_quoted(value)}"


def _value(kind: ColumnKind, text: str) -> str:
    if kind is ColumnKind.BOOLEAN:
        return {"yes": "true", "no": "false"}.get(text.lower(), text)
    if kind is ColumnKind.TIME and text.upper().startswith("NOW"):
        return text
    if kind is ColumnKind.INTEGER and re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
