"""Books as a fleet would have filled them in twelve weeks, written by COPY past the store; for ``books``."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from benchmarks.simulator.agent import SimulatedAgent
from mig_core.domain.action import Action, Operation
from mig_core.domain.command import ActionState, CommandMessage
from mig_core.domain.envelope import ACTION, RESULT, Envelope, Signature, read_envelope
from mig_core.domain.ids import ActionId, AgentId, CommandId, uuid7
from mig_core.domain.proof import Proof
from mig_core.domain.result import read_answer
from mig_core.store.encoding import jsonb
from mig_core.testing.store_samples import ENVELOPE, SIGNER
from mig_core.testing.store_scale import fill_with_agents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.ids import Fingerprint

BYTES_A_COMMAND = 1_600
"""What is to be free on the disk, with the log of changes."""
PERIOD = timedelta(weeks=12)
FINDS_EVERY = 10
_ROWS_AT_ONCE = 5_000
_COPY = """
    COPY commands (id, action_id, agent_id, agent_name, state, found, complete, results, results_size, queued_at,
                   sent_at, finished_at, position, signed_answer, signature) FROM STDIN
"""
_ACTION = """
    INSERT INTO actions (id, name, target, envelope, state, valid_from, expire_after, created_at, created_by, signers,
                         targeted, closed, final_counts, final_found, final_partial, finished_at, first_command,
                         last_command)
    VALUES (%(id)s, %(name)s, 'all', %(envelope)s, 'completed', %(at)s, %(end)s, %(at)s, %(signer)s, %(signers)s,
            %(agents)s, %(agents)s, jsonb_build_object('success', %(agents)s::int), %(found)s, 0, %(end)s, %(first)s,
            %(last)s)
"""
_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
     WHERE inhparent = 'commands'::regclass
"""
_SIZES = """
    SELECT sum(pg_relation_size(i.inhrelid)), sum(pg_indexes_size(i.inhrelid)),
           sum(pg_total_relation_size(i.inhrelid) - pg_relation_size(i.inhrelid) - pg_indexes_size(i.inhrelid)),
           sum(greatest(c.reltuples, 0))
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'commands'::regclass
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in the books."""

    agent_ids: list[AgentId]
    actions: list[ActionId]
    """The oldest first."""
    commands: int
    signer: Fingerprint = SIGNER
    pending: ActionState = ActionState.PENDING

    @property
    def agents(self) -> int:
        """How many."""
        return len(self.agent_ids)

    def bytes_on_disk(self, url: str) -> int:
        """Of commands, with their indexes."""
        with psycopg.connect(url) as connection:
            row = connection.execute(_BYTES).fetchone()
        return 0 if row is None else int(row[0])

    def sizes(self, url: str) -> list[list[str]]:
        """Bytes a command, by what takes them."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE commands")
            row = connection.execute(_SIZES).fetchone()
        assert row is not None
        table, indexes, rest, rows = (float(one) for one in row)
        names = (
            ("rows", table),
            ("indexes", indexes),
            ("the rest (large values, maps)", rest),
            ("together", table + indexes + rest),
        )
        return [[name, f"{size / rows:.0f}"] for name, size in names]


def fill(
    url: str, agents: int, commands: int, progress: Callable[[str], None], has_room: Callable[[], bool] = lambda: True
) -> Filled:
    """Agents that are online, and actions to all of them, answered and ended, over twelve weeks.

    Args:
        has_room: False ends it after the action that is being written; what is there by then is what is returned.
    """
    ids = fill_with_agents(url, agents)
    count = max(1, commands // agents)
    step = PERIOD / count
    now = datetime.now(UTC)
    moments = [now - PERIOD + step * number for number in range(count)]
    people = [(agent, f"agent{number:05}") for number, agent in enumerate(ids)]
    people.sort(key=lambda one: one[0])  # as a fan-out writes them
    endings = [_ending(finds) for finds in (False, True)]
    written = 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("ALTER TABLE commands DISABLE TRIGGER commands_are_to_be_sent")
        for number, moment in enumerate(moments):
            action = ActionId(uuid7(moment, os.urandom(10)))
            connection.execute("SELECT mig_commands_partition(%s)", (moment,))
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(_COPY) as copy:
                    for piece in _rows(people, action, moment, endings):
                        copy.write(piece)
                cursor.execute(
                    _ACTION,
                    {
                        "id": action, "name": f"question {number}", "envelope": ENVELOPE, "at": moment,
                        "signer": SIGNER, "end": moment + timedelta(minutes=5), "signers": [SIGNER],
                        "agents": agents, "found": agents // FINDS_EVERY, "first": uuid7(moment, bytes(10)),
                        "last": uuid7(moment, b"\xff" * 10),
                    },
                )  # fmt: skip
            written += agents
            if not has_room():
                progress(f"the disk is too full for more than {written} commands")
                break
            if (number + 1) % 20 == 0:
                progress(f"{written} commands are in the books")
        connection.execute("ALTER TABLE commands ENABLE TRIGGER commands_are_to_be_sent")
        # As books are that were written over weeks.
        connection.execute("VACUUM (ANALYZE) commands, actions, agents")
        connection.execute("CHECKPOINT")
    return read_filled(url)


def read_filled(url: str) -> Filled:
    """What :func:`fill` wrote, and what later measurements left of it."""
    with psycopg.connect(url) as connection:
        ids = connection.execute("SELECT id FROM agents WHERE status = 'online' ORDER BY name").fetchall()
        actions = connection.execute(
            "SELECT id, targeted FROM actions WHERE name LIKE 'question %' ORDER BY created_at"
        ).fetchall()
    return Filled(
        [AgentId(one) for (one,) in ids], [ActionId(str(one)) for one, _ in actions], sum(one for _, one in actions)
    )


def _rows(people: list[tuple[AgentId, str]], action: ActionId, moment: datetime, endings: list[str]) -> Iterator[bytes]:
    at = moment.isoformat()
    head = uuid7(moment, bytes(10))[:15]  # the moment and the version's digit
    numbered = enumerate(people, 1)
    while some := list(itertools.islice(numbered, _ROWS_AT_ONCE)):
        chance = os.urandom(9 * len(some)).hex()
        lines = []
        for index, (place, (agent, name)) in enumerate(some):
            c = chance[18 * index : 18 * index + 18]
            lines.append(
                f"{head}{c[:3]}-8{c[3:6]}-{c[6:18]}\t{action}\t{agent}\t{name}\tsuccess\t"
                f"{endings[place % FINDS_EVERY == 0].format(at=at, place=place)}\n"
            )
        yield "".join(lines).encode()


def _ending(finds: bool) -> str:
    """The columns of a real answer: what the platform keeps of one by a simulated agent."""
    now = datetime.now(UTC)
    agent = SimulatedAgent(1, "https", finds=finds, started=now)
    asked = Action(
        ActionId(uuid7(now, os.urandom(10))), "filled", "all", now, now + timedelta(minutes=5),
        (Operation("file", {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}),),
    )  # fmt: skip
    envelope = Envelope(ACTION, asked.to_payload(), (Signature(SIGNER, bytes(64)),))
    body = agent.answer(CommandMessage(CommandId(uuid7(now, os.urandom(10))), agent.id, envelope).to_bytes(), now)
    assert body is not None
    signed = read_envelope(body, expected_type=RESULT)
    said, proof = read_answer(signed.payload), Proof.of(signed)
    results = jsonb([one.to_json() for one in said.results])
    escaped = results.replace("\\", "\\\\").replace("{", "{{").replace("}", "}}")
    found = "t" if said.found else "f"
    hexes = f"\\\\x{proof.document.hex()}\t\\\\x{proof.signature.hex()}"
    return f"{found}\tt\t{escaped}\t{len(results.encode())}\t{{at}}\t{{at}}\t{{at}}\t{{place}}\t{hexes}"
