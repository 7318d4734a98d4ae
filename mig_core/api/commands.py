"""Commands: the lines of an action's books, with the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.api.actions import action_id
from mig_core.api.documents import command_document, page
from mig_core.api.exchange import CURSOR, LIMIT, Bound, Call, Parameter, Reply, Route
from mig_core.domain.command import CommandState
from mig_core.domain.ids import check_agent_id
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.store.base import Actions, Commands


class CommandResources:
    """List and show."""

    def __init__(self, actions: Actions, commands: Commands) -> None:
        self._actions = actions
        self._commands = commands

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/actions/{action}/commands",
                "Commands of an action with their answers, by agent name",
                Permission.READ,
                response="CommandList",
                query=(
                    Parameter("state", "states, separated by commas"),
                    Parameter("found", "true or false: only answers that did or did not find something"),
                    CURSOR,
                    LIMIT,
                ),
            ),
            self.list,
        )
        yield Bound(
            Route(
                "GET",
                "/actions/{action}/commands/{agent}",
                "One agent's command of an action",
                Permission.READ,
                response="Command",
            ),
            self.show,
        )

    async def list(self, call: Call) -> Reply:
        """GET /actions/{action}/commands"""
        identifier = action_id(call)
        states, found = call.words("state", CommandState), call.truth("found")
        limit = call.whole_number("limit", default=100, minimum=1, maximum=500)
        rows, cursor = await self._commands.list(
            identifier, states=states, found=found, cursor=call.query.get("cursor", ""), limit=limit
        )
        if not rows:
            await self._actions.get(identifier)  # an unknown action is 404, not an empty list
        return Reply(page([command_document(row) for row in rows], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /actions/{action}/commands/{agent}"""
        agent = check_agent_id(call.path["agent"], subject="request", path="agent")
        return Reply(command_document(await self._commands.get(action_id(call), agent)))
