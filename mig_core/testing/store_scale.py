"""Many agents at once, written past the enrolment: for tests and benchmarks of what happens with thousands of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg

from mig_core.testing.store_samples import NOW, digest, sample_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.domain.document import JSON
    from mig_core.domain.ids import AgentId

_COPY = """
    COPY agents (id, name, public_key, status, relay, version, mode, pid, environment, tags, addresses, modules,
                 failures, started_at, heartbeat_at, enrolled_at, enrolment_sent_at, admitted) FROM STDIN
"""


def fill_with_agents(owner_url: str, count: int, *, relay: str = "https") -> list[AgentId]:
    """Adds ``count`` online agents named agent00000 and so on."""
    names = [f"agent{number:05}" for number in range(count)]
    with psycopg.connect(owner_url) as connection:
        with connection.cursor().copy(_COPY) as copy:
            for name in names:
                copy.write_row(
                    (
                        sample_agent_id(name), name, digest(name), "online", relay, "1.0", "daemon", 42,
                        '{"os": "linux", "arch": "x86_64", "ident": "Debian 12", "addresses": ["192.0.2.7/24"]}',
                        '{"operator": "it"}', "{192.0.2.7/24}", "{file,pkg}", "{}", NOW, NOW, NOW, NOW, True,
                    )
                )  # fmt: skip
        connection.execute("ANALYZE agents")
    return [sample_agent_id(name) for name in names]


def fill_with_answers(owner_url: str, action: str, answers: Iterable[tuple[str, JSON]]) -> None:
    """Adds a retired agent for each answer (so that nobody asks it), and its answer to an action that has ended.

    They are written past every check: names and results may be what no honest agent would send.

    Args:
        action: that has ended; its sums follow.
        answers: the agent's name, and its results, one for each operation.
    """
    with psycopg.connect(owner_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE made (number bigserial, id text, name text, results jsonb)")
        with connection.cursor().copy("COPY made (id, name, results) FROM STDIN") as copy:
            for name, results in answers:
                copy.write_row((sample_agent_id(name), name, json.dumps(results)))
        for statement in _ANSWERS:
            connection.execute(statement, {"action": action} if b"%(" in statement else None)


_ANSWERS = (
    b"ALTER TABLE agents DISABLE TRIGGER USER",
    b"""INSERT INTO agents (id, name, shown_name, public_key, status, relay, version, mode, pid, environment, tags,
                            addresses, modules, failures, enrolled_at, enrolment_sent_at)
        SELECT id, name, name, decode(md5(name) || md5(name || 'x'), 'hex'), 'retired', 'https', '1', 'daemon', 1,
               '{}', '{}', '{}', '{}', '{}', now(), now() FROM made""",
    b"ALTER TABLE agents ENABLE TRIGGER USER",
    b"""INSERT INTO commands (id, action_id, agent_id, agent_name, state, found, complete, results, results_size,
                              queued_at, sent_at, finished_at, position)
        SELECT mig_uuid7(now()), %(action)s, id, name, 'success', true,
               (results->0->'coverage'->>'complete')::boolean, results, length(results::text), now(), now(), now(),
               1000 + number FROM made""",
    b"""UPDATE actions SET targeted = targeted + (SELECT count(*) FROM made),
               closed = 1000 + (SELECT max(number) FROM made),
               final_counts = final_counts || jsonb_build_object('success', coalesce((final_counts->>'success')::int, 0)
                                                                  + (SELECT count(*) FROM made)),
               final_found = final_found + (SELECT count(*) FROM made),
               first_command = DEFAULT, last_command = DEFAULT WHERE id = %(action)s""",
    b"ANALYZE commands",
    b"ANALYZE agents",
)
