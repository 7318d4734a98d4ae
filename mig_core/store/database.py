"""One pool of connections, one way to run a transaction, one place where the driver's errors become ours.

Every part of the store does its SQL inside :meth:`Database.transaction`. Files beside this one import psycopg only for
types and for building values.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mig_core.cancelling import cancels, heed_cancels
from mig_core.errors import Conflict, StatementRefused, StoreBroke, StoreError, StoreUnavailable, TargetError
from mig_core.network.backoff import Backoff
from mig_core.store.acting import who_acts
from mig_core.store.encoding import clean_text
from mig_core.store.session_check import check_session
from mig_core.store.sqlstates import Trouble, trouble_of
from mig_core.store.urls import check_url, without_password

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger(__name__)

Row = dict[str, Any]
Cursor = psycopg.AsyncCursor[DictRow]
T = TypeVar("T")

TRIES = 5
"""How often a transaction is tried that others block."""
CONNECTIONS = 3
"""How many connections a transaction is tried on when they break. What is at fault may be the transaction itself."""

KEEPALIVES: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""libpq settings that end a connection whose other side vanished."""
_READ_ONLY = errors.ReadOnlySqlTransaction.sqlstate
_CHANGED = errors.FeatureNotSupported.sqlstate
"""Among other things: the schema was changed since the statement was prepared, and its result with it."""
_ACTS = "SELECT set_config('mig.who', %s, true), set_config('mig.address', %s, true)"
PREPARE_AFTER = 1
"""Runs of a statement on one connection after which it is prepared there (psycopg's own number is 5). A program's first
questions then cost the database a sixth less; later ones the same."""
OPTIONS: dict[str, Any] = {"application_name": "mig", "connect_timeout": 10, **KEEPALIVES}
"""libpq settings of every connection for statements."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How long things may take, in seconds."""

    connect: float = 30.0
    """Until the database answers at the start, and lets us in; 0: it is tried once."""
    connection: float = 10.0
    """Until a connection of the pool is free, or made anew."""
    target: float = 20.0
    """The evaluation of one target."""


class Database:
    """A pool of connections to one database.

    Args:
        url: libpq URL of a role that may do what the callers do.
        pool_size: most connections at once; one more is used by the wakeups.
        limits: how long things may take.
    """

    def __init__(self, url: str, *, pool_size: int, limits: StoreLimits) -> None:
        self._limits = limits
        self._url = url
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "prepare_threshold": PREPARE_AFTER, **OPTIONS},
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=limits.connection,
            configure=_configure,
            open=False,
            name="mig-store",
        )

    async def open(self) -> None:
        """Connects. While the database does not let us in, it is tried again until the limit.

        Raises:
            StoreUnavailable: not within the limit, or it is read-only; says what the database said last.
            ConfigurationError: the URL is none, or there is a pooler in between that changes sessions.
        """
        check_url(self._url, "url")
        since = cancels()
        await self._first_connection()
        try:
            await self._pool.open(wait=True, timeout=max(self._limits.connect, self._limits.connection))
            heed_cancels(since)
        except asyncio.CancelledError:
            await self._pool.close()
            raise
        except PoolTimeout as error:
            await self._pool.close()
            raise StoreUnavailable(
                f"the database did not answer within {self._limits.connect:.0f} s",
                next_step="check database.url, and that PostgreSQL runs and lets this role in",
            ) from error

    async def _first_connection(self) -> None:
        """The pool says only that it got none; this says why."""
        give_up = time.monotonic() + self._limits.connect
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                return await check_session(self._url, OPTIONS)
            except psycopg.Error as error:
                said = without_password(" ".join(str(error).split())[:500], self._url)
                left = give_up - time.monotonic()
                if left <= 0:
                    raise StoreUnavailable(
                        f"the database does not let this program in: {said}",
                        next_step="check database.url, and that PostgreSQL runs and lets this role in",
                    ) from error
                log.warning("the database does not let this program in, trying again: %s", said)
                await asyncio.sleep(min(backoff.next(), left))

    async def close(self) -> None:
        """Ends all connections."""
        await self._pool.close(timeout=5.0)

    async def snapshot(self, work: Callable[[Cursor], Awaitable[T]]) -> T:
        """As :meth:`transaction`, for ``work`` that only reads: all its statements see the database at one moment."""

        async def reading(cursor: Cursor) -> T:
            await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await work(cursor)

        return await self._run(reading)

    async def transaction(self, work: Callable[[Cursor], Awaitable[T]]) -> T:
        """Runs ``work`` in one transaction and returns what it returns.

        ``work`` may run more than once: after a deadlock with another transaction, or when the connection broke before
        the commit. It must therefore have no effect but on the database. The database is told who acts, for its log.

        Raises:
            StoreBroke: its connection ended, and so did the next ones.
            StoreUnavailable: no connection, or the database cannot do it now.
            Conflict: a unique key is taken.
            StatementRefused: the database will not take these values.
            StoreError: schema, rights and program do not fit together.
        """

        async def acting(cursor: Cursor) -> T:
            if (acts := who_acts()) is not None:
                await cursor.execute(_ACTS, (acts.who, clean_text(acts.address)))
            return await work(cursor)

        return await self._run(acting)

    async def statement(self, work: Callable[[Cursor], Awaitable[T]]) -> T:
        """As :meth:`transaction`, without BEGIN and COMMIT: a third of the round trips.

        For ``work`` that only reads, or whose one statement that writes does no harm when it is done twice: after a
        broken connection nobody knows whether it was. The database is not told who acts.
        """
        return await self._run(work, autocommit=True)

    async def _run(self, work: Callable[[Cursor], Awaitable[T]], *, autocommit: bool = False) -> T:
        blocked = broke = 0
        since = cancels()
        while True:
            committing = False
            try:
                async with self._connection() as connection:
                    heed_cancels(since)
                    if connection.autocommit is not autocommit:
                        await connection.set_autocommit(autocommit)
                    async with connection.cursor() as cursor:
                        result = await work(cursor)
                    if not autocommit:
                        committing = True
                        await connection.commit()
                    return result
            except errors.UniqueViolation as error:
                raise Conflict(f"exists already ({error.diag.constraint_name})") from error
            except psycopg.Error as error:
                heed_cancels(since)
                trouble = trouble_of(error)
                blocked += trouble is Trouble.BLOCKED
                to_go = trouble is Trouble.BROKE or error.sqlstate == _CHANGED
                broke += to_go
                again = blocked < TRIES and broke < CONNECTIONS and (to_go or trouble is Trouble.BLOCKED)
                if committing or not again:
                    raise _translated(error, trouble) from error
                if to_go:
                    log.info("a connection to the database broke and is replaced: %s", error)
                    # It was hardly the only one. Some answer well, and have to go all the same.
                    await (self._pool.drain() if error.sqlstate in (_READ_ONLY, _CHANGED) else self._pool.check())
                else:
                    log.debug("a transaction is begun anew: %s", error)

    @asynccontextmanager
    async def as_reader(self, cursor: Cursor) -> AsyncIterator[None]:
        """Inside, statements run as ``mig_reader``: the role that sees what targets may ask about, and nothing else.

        Raises:
            TargetError: the evaluation takes too long, or PostgreSQL cannot evaluate it.
        """
        limit = round(self._limits.target * 1000)
        await set_locally(cursor, "ROLE mig_reader", f"statement_timeout = {limit}")
        try:
            yield
        except errors.QueryCanceled as error:
            problem = f"takes longer than {self._limits.target:g} s"
            raise TargetError("", 0, problem, next_step="make it simpler") from error
        except UnicodeError as error:
            raise TargetError("", 0, f"cannot be evaluated: {first_line(error)}") from error
        except psycopg.Error as error:
            if trouble_of(error) is not Trouble.REFUSED:
                raise
            raise TargetError("", 0, f"cannot be evaluated: {first_line(error)}") from error
        await set_locally(cursor, "statement_timeout TO DEFAULT", "ROLE NONE")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        """A connection of the pool; it rolls back whatever is left open."""
        connection = await self._pool.getconn()
        try:
            yield connection
        except BaseException as reason:
            if isinstance(reason, psycopg.Error) and trouble_of(reason) is Trouble.BROKE:
                await connection.close()  # also one that only says that its server does not write any more
            if not connection.closed:
                try:
                    await connection.rollback()
                except psycopg.Error as error:
                    log.debug("rollback: %s", error)
            raise
        finally:
            await self._pool.putconn(connection)


async def set_locally(cursor: Cursor, *settings: str) -> None:
    """Settings for the rest of the transaction, such as ``jit = off``; nothing in them may come from outside."""
    # Several statements at once cannot be prepared.
    await cursor.execute(";".join(f"SET LOCAL {one}" for one in settings), prepare=False)


async def _configure(connection: psycopg.AsyncConnection[DictRow]) -> None:
    """Times come back in UTC, whatever the server is set to."""
    await connection.execute("SET TIME ZONE 'UTC'")
    await connection.commit()


def _translated(error: psycopg.Error, trouble: Trouble) -> StoreError:
    """Our own error for one of the driver's."""
    problem = f"database: {first_line(error)}"
    match trouble:
        case Trouble.BLOCKED:
            return StoreUnavailable("the database is too busy: transactions block one another")
        case Trouble.BROKE:
            return StoreBroke(problem, next_step="try again later")
        case Trouble.SHORT:
            return StoreUnavailable(problem, next_step="try again later")
        case Trouble.REFUSED:
            return StatementRefused(problem, error.sqlstate or "")
        case Trouble.UNFIT:
            return StoreError(problem)


def first_line(error: Exception) -> str:
    """What happened, without PostgreSQL's details, hints and context on further lines."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def page_limit(limit: int) -> int:
    """A page's length within reason."""
    return max(1, min(limit, 1000))
