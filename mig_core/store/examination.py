"""What ``--check`` asks of the database: does it let us in, does it write, is its schema ours, what time has it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.soundness import Wrong, look_at_clock
from mig_core.store.database import Database, StoreLimits
from mig_core.store.migrate import check_version
from mig_core.store.numbers import PostgresNumbers
from mig_core.store.session_check import check_writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from mig_core.store.database import Cursor

_ASK = """
    SELECT clock_timestamp() AS now, session_user::text AS login, current_database()::text AS name,
           pg_has_role(session_user, %s, 'MEMBER') AS member, current_setting('server_version') AS version
"""


def look_at_database(url: str, group: str) -> Iterator[str | Wrong]:
    """Tries it as the program would.

    Args:
        url: of the program's own login.
        group: the role this login should belong to.

    Raises:
        MigError: it cannot be used; says why.
    """
    row, problem, before = asyncio.run(_asked(url, group))
    yield f"{row['login']} uses {row['name']} on PostgreSQL {row['version']}, with the schema of this release"
    if not row["member"]:
        yield Wrong(f"the login {row['login']} is not in {group}", f"mig-admin db create-login NAME --group {group}")
    clock = look_at_clock(before - row["now"], "the database's clock")
    yield Wrong(f"this machine's clock {clock.problem}", clock.next_step) if isinstance(clock, Wrong) else clock
    if problem:
        yield Wrong(f"a scheduler says of the relay amqp: {problem}", "see to RabbitMQ; rabbitmq-diagnostics alarms")


def require_database(url: str, group: str) -> None:
    """Returns when the program could work with it; arguments and errors are those of :func:`look_at_database`."""
    for _ in look_at_database(url, group):
        pass


async def _asked(url: str, group: str) -> tuple[Mapping[str, Any], str, datetime]:
    database = Database(url, pool_size=1, limits=StoreLimits(connect=0))
    await database.open()
    try:
        await database.transaction(check_version)
        await database.transaction(check_writes)

        async def ask(cursor: Cursor) -> tuple[Mapping[str, Any], datetime]:
            await cursor.execute(_ASK, (group,))
            row = await cursor.fetchone()
            assert row is not None
            return row, datetime.now(UTC)

        row, before = await database.transaction(ask)
        problem = await PostgresNumbers(database).relay_problem("amqp", datetime.now(UTC))
    finally:
        await database.close()
    return row, problem, before
