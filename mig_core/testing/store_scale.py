"""Many agents at once, written past the enrolment: for tests and benchmarks of what happens with thousands of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from mig_core.testing.store_samples import NOW, digest, sample_agent_id

if TYPE_CHECKING:
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
