"""Contract of :class:`mig_core.store.base.AnswerRows`, its differences: what is said to be gone, new or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.reading.reading import DiffWish, choice
from mig_core.errors import NotFound
from mig_core.testing.store_contracts.answer_rows import FILES, files_found
from mig_core.testing.store_samples import (
    NOW,
    action,
    answer,
    fanned_out,
    later,
)

if TYPE_CHECKING:
    import asyncio

    from mig_core.domain.document import JSON
    from mig_core.store.base import Store


class AnswerDiffsContract:
    """The same question asked twice."""

    def test_a_difference_is_gone_new_or_changed_by_agent(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Only who answered both is compared, and an answer that is not complete makes a missing row uncertain."""

        async def scenario() -> None:
            then = await fanned_out(store, "a", "b", "c", "d", asked=action("then"))
            now = await fanned_out(store, asked=action("now"))
            before: dict[str, JSON] = {
                "a": [{"path": "/same", "size": 1}, {"path": "/gone"}, {"path": "/grown", "size": 1}],
                "b": [{"path": "/missing"}, {"path": "/missing"}],
                "c": [{"path": "/x"}],
            }
            after: dict[str, JSON] = {
                "a": [{"path": "/same", "size": 1}, {"path": "/grown", "size": None}, {"path": "/new"}],
                "b": [],
                "d": [{"path": "/x"}],
            }
            for commands, rows, partial in ((then, before, ""), (now, after, "b")):
                await store.commands.record(
                    [
                        answer(one, results=[files_found(rows[one.agent_name], complete=one.agent_name != partial)])
                        for one in commands
                        if one.agent_name in rows
                    ],
                    later(1),
                )
            wish = DiffWish(choice((FILES,)), ("path", "size"), ("path",), limit=1)

            first = await store.answer_rows.diff(then[0].action, now[0].action, wish, now=NOW)
            rest = await store.answer_rows.diff(
                then[0].action, now[0].action, replace(wish, cursor=first.cursor), now=NOW
            )
            bare = await store.answer_rows.diff(then[0].action, now[0].action, replace(wish, key=(), limit=9), now=NOW)

            assert [(one.agent_name, one.before, one.after, one.certain) for one in (*first.items, *rest.items)] == [
                ("a", ('"/gone"', ""), None, True),
                ("a", ('"/grown"', "1"), ('"/grown"', "null"), True),
                ("a", None, ('"/new"', ""), True),
                ("b", ('"/missing"', ""), None, False),
            ]
            assert (first.gone, first.new, first.changed, first.differing) == (1, 1, 1, 1)
            assert (rest.gone, rest.new, rest.changed, rest.differing) == (1, 0, 0, 1)
            assert (first.both, first.partial, first.only_first, first.only_second, first.silent) == (2, 1, 1, 1, 0)
            last = await store.answer_rows.diff(
                then[0].action, now[0].action, replace(wish, cursor=rest.cursor), now=NOW
            )
            assert (last.items, last.cursor) == ((), "")
            assert (bare.gone, bare.new, bare.changed) == (3, 2, 0)
            with pytest.raises(NotFound):
                await store.answer_rows.diff(then[0].action, action("other").id, wish, now=NOW)

        store_runner.run(scenario())

    def test_a_row_is_not_surely_new_where_the_answer_before_was_of_another_form(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It found something, and the columns show nothing of it."""

        async def scenario() -> None:
            then = await fanned_out(store, "a", "b", asked=action("then"))
            now = await fanned_out(store, asked=action("now"))
            other = replace(files_found([{"path": "/x"}]), elements={"another": "form"})
            nothing = files_found([])
            for commands, results in ((then, {"a": other, "b": nothing}), (now, {})):
                await store.commands.record(
                    [
                        answer(one, results=[results.get(one.agent_name, files_found([{"path": "/x"}]))])
                        for one in commands
                    ],
                    later(1),
                )
            wish = DiffWish(choice((FILES,)), ("path",), ("path",))

            then_now = await store.answer_rows.diff(then[0].action, now[0].action, wish, now=NOW)
            now_then = await store.answer_rows.diff(now[0].action, then[0].action, wish, now=NOW)

            assert [(one.agent_name, one.certain) for one in then_now.items] == [("a", False), ("b", True)]
            assert [(one.agent_name, one.certain) for one in now_then.items] == [("a", False), ("b", True)]

        store_runner.run(scenario())
