"""Commands: the lines of an action's books, with the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.api.actions import action_id
from mig_core.api.documents import command_document, page, proof_document
from mig_core.api.exchange import CURSOR, LIMIT, Bound, Call, Parameter, Reply, Route
from mig_core.domain.command import CommandState
from mig_core.domain.ids import check_agent_id
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import Store
    from mig_core.store.rows import CommandRow

PROOF = Parameter("proof", "true: with what each agent signed, and its public key")


class CommandResources:
    """List and show."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._actions = store.actions
        self._commands = store.commands
        self._clock = clock

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
                    PROOF,
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
                "One agent's command of an action, and what keeps it waiting",
                Permission.READ,
                response="Command",
                query=(PROOF,),
            ),
            self.show,
        )
        yield Bound(
            Route(
                "GET",
                "/agents/{agent}/commands",
                "One agent's commands of all actions, the latest first, without their results",
                Permission.READ,
                response="HistoryList",
                query=(CURSOR, LIMIT),
            ),
            self.history,
        )

    async def history(self, call: Call) -> Reply:
        """GET /agents/{agent}/commands"""
        agent = check_agent_id(call.path["agent"], subject="request", path="agent")
        limit = call.whole_number("limit", default=100, minimum=1, maximum=500)
        rows, cursor = await self._commands.history(agent, cursor=call.query.get("cursor", ""), limit=limit)
        if not rows:
            await self._store.agents.get(agent)
        items: Sequence[JSON] = [
            {**command_document(row), "actionname": name, "bytes": size} for row, name, size in rows
        ]
        return Reply(page(items, cursor))

    async def list(self, call: Call) -> Reply:
        """GET /actions/{action}/commands"""
        identifier = action_id(call)
        states, found = call.words("state", CommandState), call.truth("found")
        limit = call.whole_number("limit", default=100, minimum=1, maximum=500)
        rows, cursor = await self._commands.list(
            identifier,
            states=states,
            found=found,
            cursor=call.query.get("cursor", ""),
            limit=limit,
            proofs=bool(call.truth("proof")),
        )
        if not rows:
            await self._actions.get(identifier)  # an unknown action is 404, not an empty list
        return Reply(page([*_documents(call, rows)], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /actions/{action}/commands/{agent}"""
        agent = check_agent_id(call.path["agent"], subject="request", path="agent")
        row = await self._commands.get(action_id(call), agent, proof=bool(call.truth("proof")))
        (document,) = _documents(call, [row])
        return Reply({**document, "waiting": await self._waiting(row)})

    async def _waiting(self, row: CommandRow) -> str:
        """What keeps a command that has no answer from getting one, as far as the platform knows."""
        if row.state.is_final:
            return ""
        agent = await self._store.agents.get(row.agent)
        problem = await self._store.numbers.relay_problem(agent.relay, self._clock())
        return f"relay {agent.relay}: {problem}" if problem else ""


def _documents(call: Call, rows: Sequence[CommandRow]) -> list[dict[str, JSON]]:
    """The rows, and if it was asked for what each agent signed."""
    if not call.truth("proof"):
        return [command_document(row) for row in rows]
    return [{**command_document(row), "proof": proof_document(row)} for row in rows]
