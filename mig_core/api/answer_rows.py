"""Answers as rows and stacks, made in the database. Who asks sends the shapes: no module need be installed here."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from mig_core.api.actions import action_id
from mig_core.api.exchange import Bound, Call, Reply, Route
from mig_core.domain.document import dump
from mig_core.domain.ids import ActionId
from mig_core.domain.reading.reading import fact_text, read_diff_wish, read_rows_wish, read_stack_wish
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.domain.reading.reading import RowsWish
    from mig_core.store.base import AnswerRows
    from mig_core.store.found_rows import Account, RowPage

MAX_WISH = 256 << 10
"""Bytes of a wish: the columns of many modules."""


class AnswerRowResources:
    """Rows, and stacks."""

    def __init__(self, answer_rows: AnswerRows, *, clock: Callable[[], datetime]) -> None:
        self._answer_rows = answer_rows
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        for path, summary, request, response, handle in (
            ("rows", "Rows of an action's answers", "RowsWish", "RowPage", self.rows),
            ("diff", "What differs from a later action's answers, by agent", "DiffWish", "Diff", self.diff),
            ("stack", "Values of columns, each with the endpoints that have it", "StackWish", "Stack", self.stack),
        ):
            yield Bound(
                Route(
                    "POST",
                    f"/actions/{{action}}/{path}",
                    summary,
                    Permission.READ,
                    body=MAX_WISH,
                    request=request,
                    response=response,
                ),
                handle,
            )

    async def rows(self, call: Call) -> Reply:
        """POST /actions/{action}/rows"""
        wish = read_rows_wish(call.document())
        page = await self._answer_rows.rows(action_id(call), wish, now=self._clock())
        # A page may have many rows: other callers do not wait until they are put together.
        return Reply(data=await asyncio.to_thread(_row_page, wish, page))

    async def diff(self, call: Call) -> Reply:
        """POST /actions/{action}/diff"""
        other, wish = read_diff_wish(call.document())
        found = await self._answer_rows.diff(action_id(call), ActionId(other), wish, now=self._clock())
        modules = ["" if one is None else one.module for one in wish.choice.shapes]

        def row(cells: Sequence[str] | None) -> JSON:
            if cells is None:
                return None
            return {name: json.loads(cell) for name, cell in zip(found.columns, cells, strict=True) if cell}

        items: list[JSON] = [
            {
                "agent": one.agent,
                "agentname": one.agent_name,
                "module": modules[one.operation],
                "before": row(one.before),
                "after": row(one.after),
                "certain": one.certain,
            }
            for one in found.items
        ]
        return Reply(
            {
                "columns": list(found.columns),
                "items": items,
                "gone": found.gone,
                "new": found.new,
                "changed": found.changed,
                "differing": found.differing,
                "both": found.both,
                "partial": found.partial,
                "onlyfirst": found.only_first,
                "onlysecond": found.only_second,
                "silent": found.silent,
                "cursor": found.cursor,
            }
        )

    async def stack(self, call: Call) -> Reply:
        """POST /actions/{action}/stack"""
        wish = read_stack_wish(call.document())
        found = await self._answer_rows.stack(action_id(call), wish, now=self._clock())
        items: list[JSON] = [
            {
                "group": list(one.groups),
                "value": {
                    column: json.loads(cell) for column, cell in zip(found.columns, one.cells, strict=True) if cell
                },
                "endpoints": one.endpoints,
                "answered": found.answered_by_group.get(one.groups, 0),
                "rows": one.rows,
                "first": one.first,
                "last": one.last,
            }
            for one in found.entries
        ]
        return Reply(
            {
                "columns": list(found.columns),
                "groupby": [fact_text(one) for one in wish.group_by],
                "items": items,
                "values": found.values,
                "rows": found.rows,
                "groups": [
                    {"group": list(group), "answered": number} for group, number in found.answered_by_group.items()
                ],
                "cursor": found.cursor,
                "account": account_document(found.account),
            }
        )


def _row_page(wish: RowsWish, page: RowPage) -> bytes:
    """The document; the cells are JSON texts already, and are put together and not read."""
    modules = ["" if one is None else json.dumps(one.module) for one in wish.choice.shapes]
    names = [json.dumps(one) for one in page.columns]
    items = (
        f'{{"agent":"{agent}","agentname":{json.dumps(name)},"module":{modules[operation]},"row":{{'
        + ",".join(f"{column}:{cell}" for column, cell in zip(names, cells, strict=True) if cell)
        + "}}"
        for agent, name, operation, cells in page.rows
    )
    account: JSON = None if page.account is None else account_document(page.account)
    head = dump({"columns": list(page.columns), "cursor": page.cursor, "account": account})
    return head[:-1] + b',"items":[' + ",".join(items).encode() + b"]}"


def account_document(account: Account) -> dict[str, JSON]:
    """Every endpoint that was asked, and what rows can say about it."""
    return {
        "targeted": account.targeted,
        "counts": {state.value: number for state, number in account.counts.items()},
        "answered": account.answered,
        "partial": account.partial,
        "withrows": account.with_rows,
        "undecided": account.undecided,
        "undecidedrows": account.undecided_rows,
        "unreadable": account.unreadable,
    }
