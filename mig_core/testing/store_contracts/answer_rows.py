"""Contract of :class:`mig_core.store.base.AnswerRows`: rows and stacks say what :func:`rows_of` says, of any answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mig_core.domain.column_kind import ColumnKind
from mig_core.domain.command import CommandState
from mig_core.domain.document import members
from mig_core.domain.reading.reading import RowsWish, Sorting, StackWish, choice, read_fact
from mig_core.domain.reading.shape import Shape, read_shape
from mig_core.domain.storable import clean_json
from mig_core.errors import InvalidDocument, NotFound
from mig_core.plugin.columns import Column
from mig_core.plugin.rows import rows_of
from mig_core.testing.store_samples import (
    NOW,
    action,
    answer,
    enrolled,
    facts,
    fanned_out,
    heartbeat,
    later,
    module_result,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.store.base import Store
    from mig_core.store.found_rows import RowPage, Stack
    from mig_core.store.rows import CommandRow

COLUMNS = (
    Column("path", ColumnKind.PATH, "where", always=True),
    Column("size", ColumnKind.SIZE, "bytes", at="info.size"),
    Column("sha256", ColumnKind.HASH, "hash"),
    Column("changed", ColumnKind.TIME, "when"),
    Column("deleted", ColumnKind.BOOLEAN, "gone"),
    Column("owners", ColumnKind.LIST, "whose"),
    Column("peer", ColumnKind.ADDRESS, "who"),
    Column("took", ColumnKind.DURATION, "how long"),
    Column("search", ColumnKind.TEXT, "label", at="@1"),
)
ROWS_AT = "*[]"
HOSTILE: tuple[Any, ...] = (
    None,
    "rows",
    [],
    {"s1": None, "s2": {"path": "/a"}, "s3": [None, 1, "x", [], {}]},
    {"s1": [{"path": ""}, {"path": None}, {"path": 7}, {"path": "/nul\x00", "\x00": 1}]},
    {"s1": [{"path": "/numbers", "info": {"size": 10**300}}, {"path": "/minus", "info": {"size": -1}}]},
    {"s1": [{"path": "/fraction", "info": {"size": 1.5}, "took": 0.5}, {"path": "/text", "info": "size"}]},
    {
        "s1": [
            {"path": "/bad", "sha256": 1, "changed": "yesterday", "deleted": "yes", "owners": ["a", 1], "peer": "::g"}
        ]
    },
    {"s1": [{"path": "/good", "sha256": "ABCDEF", "changed": "2026-11-23 03:00:00.5 +0000 UTC", "owners": ["a", "b"]}]},
    {"s1": [{"path": "/hash", "sha256": "SHA256:AbC/x", "changed": "2026-02-31T25:61:00Z", "peer": "999.1.1.1"}]},
    {
        "'; DROP TABLE commands; --": [
            {"path": "%s %(p1)s {}", "owners": [], "peer": "", "changed": "0000-00-00T00:00:00Z"}
        ]
    },
    {
        "s1": [
            {"path": "/address", "peer": "10.1.2.3/24"},
            {"path": "/mapped", "peer": "::ffff:10.1.2.3"},
            {"path": "/six", "peer": "fe80::1%eth0"},
        ]
    },
)
"""Elements as a hostile endpoint may send them."""

CONDITIONS = (
    "size > '1k'",
    "NOT size > '1k'",
    "sha256 = 'abcdef' OR sha256 IN ('SHA256:AbC/x')",
    "changed > '2026-01-01' AND changed < NOW()",
    "deleted = true",
    "owners = 'a' AND owners LIKE '_'",
    "peer <<= '10.0.0.0/8'",
    "peer IN ('fe80::/10', '999::/16')",
    "took > '1s'",
    "path ~ '^/[a-n]' AND path !~ 'x'",
    "search <> 's1'",
    "agent LIKE 'h%'",
    "tags.role = 'web' OR tags.role IS NULL",
    "changed IS NULL",
)


def shape_of(columns: Sequence[Column], rows_at: str, module: str = "file") -> Shape:
    """What a client makes of a module's declaration."""
    document: JSON = {
        "module": module,
        "rowsat": rows_at,
        "columns": [{"name": one.name, "kind": one.kind.value, "at": one.at, "always": one.always} for one in columns],
    }
    return read_shape(members(document, subject="shape"))


SHAPE = shape_of(COLUMNS, ROWS_AT)
FILES = shape_of((Column("path", ColumnKind.PATH, "where"), Column("size", ColumnKind.SIZE, "bytes")), "files[]")


def files_found(rows: JSON, *, complete: bool = True) -> ModuleResult:
    """A result with these rows."""
    return module_result(elements={"files": rows}, found=bool(rows), complete=complete)


async def answered(store: Store, elements: Mapping[str, JSON], **changes: Any) -> list[CommandRow]:
    """An action that each agent named has answered with these elements."""
    commands = await fanned_out(store, *elements)
    answers = [answer(one, results=[module_result(elements=elements[one.agent_name])], **changes) for one in commands]
    await store.commands.record(answers, later(1))
    return commands


async def all_pages(store: Store, command: CommandRow, wish: RowsWish) -> tuple[list[dict[str, Any]], RowPage]:
    """The rows of all pages, and the first page."""
    rows: list[dict[str, Any]] = []
    first = page = await store.answer_rows.rows(command.action, wish, now=later(2))
    while True:
        for _, agent, _, cells in page.rows:
            row = {name: json.loads(cell) for name, cell in zip(page.columns, cells, strict=True) if cell}
            rows.append({"agent": agent, **row})
        if not page.cursor:
            return rows, first
        page = await store.answer_rows.rows(command.action, replace(wish, cursor=page.cursor), now=later(2))


def stacked(stack: Stack) -> list[tuple[Any, ...]]:
    """Groups, values, endpoints, rows, first and last, a line each."""
    return [
        (
            *one.groups,
            *(json.loads(cell) if cell else ... for cell in one.cells),
            one.endpoints,
            one.rows,
            one.first,
            one.last,
        )
        for one in stack.entries
    ]


class AnswerRowsContract:
    """Rows of answers."""

    def test_rows_are_those_that_the_columns_declare_whatever_an_endpoint_sent(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """SQL and Python read the same rows, cell by cell."""

        async def scenario() -> None:
            sent = {f"host{index:02}": one for index, one in enumerate(HOSTILE)}
            commands = await answered(store, sent)

            rows, first = await all_pages(store, commands[0], RowsWish(choice((SHAPE,))))

            expected = [
                {"agent": agent, **row}
                for agent, elements in sent.items()
                for row in rows_of(COLUMNS, ROWS_AT, clean_json(elements))
            ]
            differing = [pair for pair in zip(rows, expected, strict=False) if pair[0] != pair[1]]
            assert (differing, len(rows)) == ([], len(expected))
            assert first.account is not None
            with_rows = {one["agent"] for one in expected}
            assert (first.account.answered, first.account.with_rows) == (len(sent), len(with_rows))
            assert first.account.unreadable == len(sent) - len(with_rows)

        store_runner.run(scenario())

    @pytest.mark.parametrize("where", CONDITIONS)
    def test_no_condition_fails_on_what_endpoints_sent(
        self, store: Store, store_runner: asyncio.Runner, where: str
    ) -> None:
        """Each row is meant, not meant, or said to be undecided."""

        async def scenario() -> None:
            commands = await answered(store, {f"host{index:02}": one for index, one in enumerate(HOSTILE)})
            total, _ = await all_pages(store, commands[0], RowsWish(choice((SHAPE,))))

            counts = []
            for text in (where, f"NOT ({where})"):
                wish = StackWish(choice((SHAPE,), text), ("path",))
                stack = await store.answer_rows.stack(commands[0].action, wish, now=later(2))
                rows, _ = await all_pages(store, commands[0], RowsWish(wish.choice))
                assert stack.rows == len(rows) == sum(one.rows for one in stack.entries)
                counts.append((stack.rows, stack.account.undecided_rows))

            (one, undecided), (other, undecided_too) = counts
            assert one + other + max(undecided, undecided_too) <= len(total)
            assert undecided == undecided_too

        store_runner.run(scenario())

    def test_a_stack_counts_endpoints_once_and_says_who_was_asked(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """A value twice on one endpoint is one endpoint and two rows. Who did not answer is counted too."""

        async def scenario() -> None:
            commands = await fanned_out(store, "a", "b", "c", "d", "e")
            both = {"files": [{"path": "/x"}, {"path": "/x"}, {"path": "/y"}, {"path": None}, {"size": 1}]}
            results = {"a": both, "b": {"files": [{"path": "/x"}]}, "c": {"files": []}}
            await store.commands.record(
                [
                    answer(
                        one,
                        results=[
                            module_result(
                                elements=cast("JSON", results[one.agent_name]),
                                found=one.agent_name != "c",
                                complete=one.agent_name != "b",
                            )
                        ],
                    )
                    for one in commands[:3]
                ]
                + [answer(commands[3], state=CommandState.REFUSED, reason="no")],
                later(1),
            )

            stack = await store.answer_rows.stack(commands[0].action, StackWish(choice((FILES,)), ("path",)), now=NOW)
            rare = await store.answer_rows.stack(
                commands[0].action, StackWish(choice((FILES,)), ("path",), rare=True, limit=1), now=NOW
            )

            assert stacked(stack) == [
                ("/x", 2, 3, "a", "b"),
                ("/y", 1, 1, "a", "a"),
                (None, 1, 1, "a", "a"),
                (..., 1, 1, "a", "a"),
            ]
            account = stack.account
            assert (account.targeted, account.answered, account.partial, account.with_rows) == (5, 3, 1, 2)
            assert account.counts == {CommandState.SUCCESS: 3, CommandState.REFUSED: 1, CommandState.QUEUED: 1}
            assert (stack.values, stack.rows, account.unreadable, stack.cursor) == (4, 6, 0, "")
            assert (len(rare.entries), rare.values, rare.entries[0].endpoints) == (1, 4, 1)
            assert rare.cursor

        store_runner.run(scenario())

    def test_what_cannot_be_judged_is_counted(self, store: Store, store_runner: asyncio.Runner) -> None:
        """A value that is not known is neither larger nor not larger; one that is not there is no such row."""

        async def scenario() -> None:
            rows = [{"path": "/a", "size": 5}, {"path": "/b", "size": None}, {"path": "/c"}, {"path": "/d", "size": 1}]
            commands = await answered(store, {"one": cast("JSON", {"files": rows}), "two": {"files": []}})

            stack = await store.answer_rows.stack(
                commands[0].action, StackWish(choice((FILES,), "size > 2"), ("path",)), now=NOW
            )

            assert stacked(stack) == [("/a", 1, 1, "one", "one")]
            assert (stack.account.undecided_rows, stack.account.undecided) == (1, 1)
            assert (stack.account.with_rows, stack.account.unreadable) == (1, 1)

        store_runner.run(scenario())

    def test_endpoints_are_grouped_by_a_tag(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Each group has its own number of endpoints that answered."""

        async def scenario() -> None:
            await enrolled(store, "a", "b", "c")
            roles = {"a": {"role": "web"}, "b": {"role": "db"}}
            await store.agents.beat(
                [heartbeat(name, 1, of=facts(name, tags=tags)) for name, tags in roles.items()], NOW
            )
            commands = await fanned_out(store)
            found = module_result(elements={"files": [{"path": "/x"}]})
            await store.commands.record([answer(one, results=[found]) for one in commands], later(1))
            role = read_fact("tags.role")
            assert role is not None

            stack = await store.answer_rows.stack(
                commands[0].action, StackWish(choice((FILES,)), ("path",), (role,)), now=NOW
            )
            bare = await store.answer_rows.stack(commands[0].action, StackWish(choice((FILES,)), (), (role,)), now=NOW)

            assert stacked(stack) == [
                ("db", "/x", 1, 1, "b", "b"),
                ("web", "/x", 1, 1, "a", "a"),
                (None, "/x", 1, 1, "c", "c"),
            ]
            assert [one[:2] for one in stacked(bare)] == [("db", 1), ("web", 1), (None, 1)]
            assert stack.answered_by_group == {("db",): 1, ("web",): 1, (None,): 1}

        store_runner.run(scenario())

    def test_rows_are_sorted_and_paged_over_the_same_answers(self, store: Store, store_runner: asyncio.Runner) -> None:
        """An answer that comes between two pages changes neither."""

        async def scenario() -> None:
            commands = await fanned_out(store, "a", "b", "c")
            sizes: dict[str, list[JSON]] = {"a": [3, 30], "b": [None, 7]}
            await store.commands.record(
                [
                    answer(
                        one,
                        results=[
                            module_result(
                                elements={
                                    "files": [{"path": f"/{size}", "size": size} for size in sizes[one.agent_name]]
                                }
                            )
                        ],
                    )
                    for one in commands[:2]
                ],
                later(1),
            )
            wish = RowsWish(choice((FILES,)), ("size",), (Sorting("size", descending=True),), limit=2)
            first = await store.answer_rows.rows(commands[0].action, wish, now=NOW)
            late = module_result(elements={"files": [{"path": "/z", "size": 99}]})
            await store.commands.record([answer(commands[2], results=[late])], later(2))

            second = await store.answer_rows.rows(commands[0].action, replace(wish, cursor=first.cursor), now=NOW)

            assert [one[3] for one in (*first.rows, *second.rows)] == [("30",), ("7",), ("3",), ("null",)]
            assert second.cursor == ""

        store_runner.run(scenario())

    def test_unknown_actions_and_foreign_cursors_are_refused(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Nobody is given an empty list for them."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "a")
            for wish in (RowsWish(choice((FILES,))), RowsWish(choice((FILES,)), sort=(Sorting("path"),))):
                with pytest.raises(NotFound):
                    await store.answer_rows.rows(action("other").id, wish, now=NOW)
                with pytest.raises(InvalidDocument):
                    await store.answer_rows.rows(command.action, replace(wish, cursor="WzFd"), now=NOW)
            with pytest.raises(NotFound):
                await store.answer_rows.stack(action("other").id, StackWish(choice((FILES,))), now=NOW)
            nothing = await store.answer_rows.stack(command.action, StackWish(choice((None,))), now=NOW)
            assert (nothing.entries, nothing.account.targeted, nothing.account.answered) == ((), 1, 0)

        store_runner.run(scenario())

    def test_an_agent_s_history_is_the_latest_first(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Commands of all actions, without their results, page by page."""

        async def scenario() -> None:
            for index in range(3):
                asked = action(f"question {index}")
                commands = await fanned_out(store, *(("a", "b") if index == 0 else ()), asked=asked)
                await store.commands.record([answer(commands[0], results=[files_found([])])], later(index))
            agent = commands[0].agent

            first, cursor = await store.commands.history(agent, limit=2)
            second, end = await store.commands.history(agent, cursor=cursor, limit=2)

            assert sorted(name for _, name, _ in (*first, *second)) == [f"question {index}" for index in range(3)]
            assert {row.state for row, _, _ in first} == {CommandState.SUCCESS}
            assert all(row.results is None and size > 2 for row, _, size in (*first, *second))
            assert end == ""

        store_runner.run(scenario())

    def test_actions_are_found_by_the_beginning_of_their_id(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Digits without hyphens; nothing else begins like that."""

        async def scenario() -> None:
            await fanned_out(store, "a", asked=action("one"))
            await fanned_out(store, asked=action("two"))
            wanted = action("one").id

            found, _ = await store.actions.list(prefix=wanted.replace("-", "")[:20])
            both, _ = await store.actions.list(prefix=wanted[:4])
            none, _ = await store.actions.list(prefix="f")

            assert [one.id for one in found] == [wanted]
            assert (len(both), none) == (2, [])

        store_runner.run(scenario())
