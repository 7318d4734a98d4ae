"""Roles of the database server: three that carry rights, and the logins that operators give to programs.

``mig_api``, ``mig_scheduler`` and ``mig_reader`` cannot log in; migrations grant them what each part needs
(docs/database.md has the table). A program logs in as a member of one of them. Roles belong to the whole server, not to
one database, so everything here may run against several databases at once.
"""

from __future__ import annotations

import logging
import re
import time
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors, sql

from mig_core.errors import StoreError, StoreUnavailable
from mig_core.store.database import first_line
from mig_core.store.urls import check_url, without_password

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

API = "mig_api"
SCHEDULER = "mig_scheduler"
READER = "mig_reader"
GROUPS = (API, SCHEDULER, READER)

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RACES = (
    errors.DuplicateObject,
    errors.UniqueViolation,
    errors.InternalError_,  # "tuple concurrently updated": two databases of one server, at the same moment
    errors.DeadlockDetected,
)
_TRIES = 40


def create_groups(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Makes the three group roles where they are missing; needs CREATEROLE only then.

    Args:
        connection: not within a transaction; left without one.

    Raises:
        StoreError: this role may not create roles.
    """
    for name in GROUPS:
        if not _exists(connection, name):
            statement = sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(name))
            _change(connection, statement, partial(_exists, connection, name))
    for member in (API, SCHEDULER):
        _grant(connection, READER, member)


def create_login(owner_url: str, name: str, password: str | None, *, group: str) -> None:
    """Makes a login for one program, or changes the password of the one there is.

    Args:
        owner_url: libpq URL of a role with CREATEROLE; the schema has been applied.
        name: lower case letters, digits and ``_``.
        password: None for a login that the server admits otherwise (peer, certificate, a private socket). The server
            and its log never see it in plain.
        group: one of GROUPS.

    Raises:
        StoreUnavailable: the server cannot be reached.
        StoreError: the name is not usable, or this role may not create roles.
    """
    if not _NAME.fullmatch(name) or name in GROUPS or group not in GROUPS:
        raise StoreError(
            f"login {name!r} in group {group!r}: must be a new name of lower case letters, digits and _,"
            f" in one of {', '.join(GROUPS)}"
        )
    with connect(owner_url) as connection:
        if not _exists(connection, name):
            statement = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
            _change(connection, statement, partial(_exists, connection, name))
        if password is not None:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))
            _change(connection, statement, lambda: False)
        _grant(connection, group, name)


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection in autocommit mode, for work on schema and roles.

    Raises:
        StoreUnavailable: it does not answer, or lets this role not in.
        ConfigurationError: the URL is none. It may hold a password, so it is not shown.
    """
    check_url(url, "owner_url")
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="mig-schema")
    except psycopg.Error as error:
        said = without_password(first_line(error), url)
        raise StoreUnavailable(f"database: {said}", next_step="check database.owner_url") from error


def _grant(connection: psycopg.Connection[tuple[object, ...]], group: str, member: str) -> None:
    if not _is_member(connection, group, member):
        statement = sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(member))
        _change(connection, statement, partial(_is_member, connection, group, member))


def _change(
    connection: psycopg.Connection[tuple[object, ...]], statement: sql.Composed, done: Callable[[], bool]
) -> None:
    """Runs a statement that others may run at the same moment."""
    for attempt in range(_TRIES):
        try:
            connection.execute(statement)
        except _RACES as error:
            if done():
                return
            log.debug("roles: %s; again", error)
            time.sleep(0.005 * (attempt + 1))
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"database: {first_line(error)}", next_step="use the URL of a role that may (CREATEROLE)"
            ) from error
        except psycopg.Error as error:
            raise StoreError(f"database: {first_line(error)}") from error
        else:
            return
    raise StoreUnavailable("roles: others keep changing them at the same moment")


def _exists(connection: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is not None


def _is_member(connection: psycopg.Connection[tuple[object, ...]], group: str, member: str) -> bool:
    query = """
        SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
         WHERE g.rolname = %s AND r.rolname = %s
    """
    return connection.execute(query, (group, member)).fetchone() is not None
