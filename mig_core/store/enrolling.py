"""Enrolments, those of one moment together: one commit and one wakeup, each agent with its own outcome.

A fleet that is rolled out enrols within minutes. Rows are written one after the other all the same, because the
platform log says of each where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId
from mig_core.errors import Conflict, MigError, NoRoom, Refused
from mig_core.store.agent_rows import COLUMNS, SET_FACTS, agent_row, facts_parameters
from mig_core.store.coalescing import Coalescing
from mig_core.store.encoding import clean_text, jsonb
from mig_core.store.enrolment_secrets import Granting
from mig_core.store.notify import notify
from mig_core.store.pending_agents import MOST_PENDING, room_for_pending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.agent import Enrolment
    from mig_core.store.acting import Acting
    from mig_core.store.database import Cursor, Database, Row
    from mig_core.store.rows import AgentRow

MOST_TOGETHER = 100
WITH_SETTINGS = "(settings)"
"""What admitted an agent that no named secret did."""

# A fan-out that reads these agents at the moment does not hold them up.
_KNOWN = """
    SELECT id, public_key, status, enrolment_sent_at, relay FROM agents WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
# The log's triggers read who acts, and from where, when the statement ends.
_ACTS = "set_config('mig.who', %(who)s, true) AS who, set_config('mig.address', %(address)s, true) AS address"
_INSERT = f"""
    INSERT INTO agents (id, name, public_key, status, relay, version, mode, pid, environment, tags, addresses, modules,
                        failures, started_at, heartbeat_at, enrolled_at, enrolment_sent_at, token_digest, enrolled_with,
                        given_tags, given_relay)
    SELECT %(id)s, %(name)s, %(public_key)s, %(status)s, %(relay)s, %(version)s, %(mode)s, %(pid)s,
           %(environment)s::jsonb, %(tags)s::jsonb, %(addresses)s::inet[], %(modules)s, %(failures)s::jsonb,
           %(started_at)s, %(heartbeat_at)s::timestamptz, %(now)s, %(sent)s, %(token)s::bytea, %(with)s,
           %(given_tags)s::jsonb, %(given_relay)s
      FROM {_ACTS}
    ON CONFLICT (id) DO NOTHING RETURNING {COLUMNS}
"""  # noqa: S608 - constants
_REFRESH = f"""
    UPDATE agents SET {SET_FACTS}, status = %(status)s, enrolment_sent_at = %(sent)s,
           admitted = admitted AND relay = %(relay)s, relay = %(relay)s,
           heartbeat_at = coalesce(%(heartbeat_at)s, heartbeat_at), token_digest = coalesce(%(token)s, token_digest),
           enrolled_with = CASE WHEN %(with)s = '' THEN enrolled_with ELSE %(with)s END,
           given_tags = CASE WHEN %(with)s = '' THEN given_tags ELSE %(given_tags)s::jsonb END,
           given_relay = CASE WHEN %(with)s = '' THEN given_relay ELSE %(given_relay)s END
      FROM {_ACTS}
     WHERE id = %(id)s RETURNING {COLUMNS}
"""  # noqa: S608 - constants
# What waits for an agent at the relay that it listened on before reaches it no more. What it has taken already it knows
# by its id, and runs once. What is queued waits already, unless it is marked as sent at this very moment: so these rows
# are locked, too. Its cancel may have gone to the relay of before.
_OPEN = """
    WITH open AS (
        SELECT c.id, c.action_id, c.agent_id, c.state, a.cancel_envelope IS NOT NULL AS cancelled
          FROM actions a JOIN commands c ON c.action_id = a.id AND c.agent_id = ANY(%(agents)s)
                        AND c.id BETWEEN a.first_command AND a.last_command
         WHERE a.state = 'inflight' AND c.position IS NULL ORDER BY c.id FOR NO KEY UPDATE OF c
    ), cancels AS (
        INSERT INTO unsent_cancels (action_id, agent_id) SELECT action_id, agent_id FROM open WHERE cancelled
            ON CONFLICT DO NOTHING
    )
    INSERT INTO unsent_commands (id, action_id, agent_id, again_at)
    SELECT id, action_id, agent_id, %(now)s::timestamptz FROM open WHERE state = 'sent'
        ON CONFLICT (id) DO NOTHING
"""
_DROP_MESSAGES = "DELETE FROM relay_messages WHERE agent_id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Asking:
    """One agent that enrols; see :meth:`mig_core.store.base.Agents.enrol`."""

    enrolment: Enrolment
    approved: bool
    token_digest: bytes
    now: datetime
    secret_digest: bytes
    acts: Acting | None
    """On whose behalf."""

    @property
    def agent(self) -> AgentId:
        """Its id."""
        return self.enrolment.facts.id


class Enrolling:
    """Enrols agents, many in one transaction. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Coalescing(self._enrol, limit=MOST_TOGETHER)

    async def enrol(self, asking: Asking) -> AgentRow:
        """The agent's row, committed.

        Raises:
            Refused, NoRoom, Conflict: as :meth:`mig_core.store.base.Agents.enrol`.
        """
        outcome = await self._together.add(asking)
        if isinstance(outcome, MigError):
            raise outcome
        return outcome

    async def _enrol(self, group: Sequence[Asking]) -> Sequence[AgentRow | MigError]:
        first: dict[AgentId, Asking] = {}
        for one in group:
            first.setdefault(one.agent, one)
        try:
            outcomes = await self._transaction(list(first.values()))
        except Conflict as error:
            if len(group) == 1:
                return [error]
            # A key of one of them was taken at this very moment; the others are not to suffer for it.
            return [await self._alone(one) for one in group]
        answers: list[AgentRow | MigError] = []
        for one in group:
            if first[one.agent] is one:
                answers.append(outcomes[one.agent])
            else:  # the same agent once more: as if it had come later
                answers.append(await self._alone(one))
        return answers

    async def _alone(self, one: Asking) -> AgentRow | MigError:
        try:
            return (await self._enrol([one]))[0]
        except MigError as error:
            return error

    async def _transaction(self, group: Sequence[Asking]) -> Mapping[AgentId, AgentRow | MigError]:
        async def work(cursor: Cursor) -> Mapping[AgentId, AgentRow | MigError]:
            return await _Group(cursor).enrol(sorted(group, key=lambda one: one.agent))

        return await self._database.transaction(work)


class _Group:
    """Agents that enrol in one transaction, each of them once."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._granting = Granting(cursor)
        self._admitted: set[AgentId] = set()
        """Those that were before."""
        self._outcomes: dict[AgentId, AgentRow | MigError] = {}

    async def enrol(self, group: Sequence[Asking]) -> Mapping[AgentId, AgentRow | MigError]:
        """What becomes of each; ordered by id, as everybody locks agents."""
        # 1. Who is known, and may come back.
        await self._cursor.execute(_KNOWN, ([one.agent for one in group],))
        known = {AgentId(row["id"]): row for row in await self._cursor.fetchall()}
        self._admitted = {agent for agent, row in known.items() if row["status"] != AgentState.PENDING}
        back = [one for one in group if one.agent in known and self._may_come_back(known[one.agent], one.enrolment)]
        new = [one for one in group if one.agent not in known]
        # 2. Their rows; those of the known first: then none of them is forgotten for the room of another.
        await self._granting.lock(one.secret_digest for one in (*back, *new) if self._needs_secret(one))
        await self._write(_REFRESH, [values for one in back if (values := self._values(one)) is not None])
        await self._move([one for one in back if known[one.agent]["relay"] != one.enrolment.relay])
        welcome = await self._with_room(new)
        await self._write(_INSERT, [values for one in welcome if (values := self._values(one)) is not None])
        for one in group:
            if one.agent not in self._outcomes:
                self._outcomes[one.agent] = Conflict(f"agent {one.agent} enrols twice at the same moment")
                if self._needs_secret(one):
                    self._granting.give_back(one.secret_digest)
        # 3. What follows from it.
        await self._granting.write()
        rows = [one for one in self._outcomes.values() if not isinstance(one, MigError)]
        await notify(self._cursor, "agent", [row.id for row in rows if row.state is not AgentState.PENDING])
        return self._outcomes

    async def _move(self, moved: Sequence[Asking]) -> None:
        """Hands over what waits at the relays where these agents have listened before."""
        agents = [one.agent for one in moved if not isinstance(self._outcomes.get(one.agent), MigError)]
        if agents:
            await self._cursor.execute(_OPEN, {"agents": agents, "now": moved[0].now})
            await self._cursor.execute(_DROP_MESSAGES, (agents,))
            await notify(self._cursor, "outbox")

    def _may_come_back(self, known: Row, enrolment: Enrolment) -> bool:
        try:
            _check_enrolment(known, enrolment)
        except Conflict as error:
            self._outcomes[enrolment.facts.id] = error
            return False
        return True

    def _needs_secret(self, one: Asking) -> bool:
        return bool(one.secret_digest) and not one.approved and one.agent not in self._admitted

    async def _with_room(self, new: Sequence[Asking]) -> Sequence[Asking]:
        """Those of the new ones that something admits, or for whom there is room to wait."""
        strangers = [one for one in new if not one.approved and not one.secret_digest]
        if not strangers:
            return new
        room = await room_for_pending(self._cursor, len(strangers), now=strangers[0].now)
        for one in strangers[max(0, room) :]:
            self._outcomes[one.agent] = NoRoom(
                f"{MOST_PENDING} agents wait for approval, more may not",
                next_step="approve or retire them (mig agents --state pending), or give agents the enrolment secret",
            )
        return [one for one in new if one.agent not in self._outcomes]

    def _values(self, one: Asking) -> Mapping[str, object] | None:
        """What is written of an agent; None: its secret admits nobody. Of one that admits it one use is gone."""
        enrolment, admit = one.enrolment, one.approved or one.agent in self._admitted
        given: dict[str, object] = {"with": "", "given_tags": "{}", "given_relay": ""}
        if self._needs_secret(one):
            try:
                secret = self._granting.use(one.secret_digest, one.now)
            except Refused as error:
                self._outcomes[one.agent] = error
                return None
            given = {"with": secret.name, "given_tags": jsonb(secret.tags), "given_relay": secret.relay}
            admit = True
        elif one.approved and one.agent not in self._admitted:
            given["with"] = WITH_SETTINGS
        return (
            facts_parameters(enrolment.facts)
            | given
            | {
                "public_key": enrolment.public_key,
                "relay": enrolment.relay,
                "sent": enrolment.sent,
                "now": one.now,
                "status": (AgentState.ONLINE if admit else AgentState.PENDING).value,
                "token": one.token_digest if admit else None,
                "heartbeat_at": one.now if admit else None,
                "who": one.acts.who if one.acts else "",
                "address": clean_text(one.acts.address) if one.acts else "",
            }
        )

    async def _write(self, statement: str, rows: Sequence[Mapping[str, object]]) -> None:
        if not rows:
            return
        await self._cursor.executemany(statement, rows, returning=True)
        while True:
            self._outcomes |= {AgentId(row["id"]): agent_row(row) for row in await self._cursor.fetchall()}
            if not self._cursor.nextset():
                return


def _check_enrolment(known: Row, enrolment: Enrolment) -> None:
    agent = enrolment.facts.id
    if known["status"] == AgentState.RETIRED:
        raise Conflict(
            f"agent {agent} is retired", next_step="remove its key on the endpoint: it enrols as a new agent"
        )
    if known["public_key"] != enrolment.public_key:
        raise Conflict(f"agent {agent} enrolled with another key before")
    if enrolment.sent <= known["enrolment_sent_at"]:
        raise Conflict(f"agent {agent} enrolled later than this: a replay, or its clock went back")
