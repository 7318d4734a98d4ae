"""The schema and its versions: numbered files beside this one, applied once, in order, by the owner of the database.

Called by ``mig-admin db upgrade``, and by mig-api at start when it has an owner URL. Any number of
processes may call at once: one applies, the others wait and find it done.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Protocol

import psycopg

from mig_core.errors import ConfigurationError, StoreError
from mig_core.store import roles
from mig_core.store.database import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

LOCK = 0x4D4947  # "MIG": key of the advisory lock
UPGRADE = "apply the migrations as the owner: mig-admin db upgrade"

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_VERSIONS = """
    CREATE TABLE IF NOT EXISTS schema_versions (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    GRANT SELECT ON schema_versions TO mig_api, mig_scheduler;
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file. ``checksum`` is the SHA-256 of its text."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


class _Fetches(Protocol):
    async def fetchone(self) -> Mapping[str, object] | None: ...


class _Executes(Protocol):
    async def execute(self, query: str, /) -> _Fetches: ...


def migrations() -> Sequence[Migration]:
    """All that this program brings, by version from 1 without a gap."""
    found = []
    for file in (resources.files("mig_core.store") / "migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda one: one.version)


def upgrade(owner_url: str, *, available: Sequence[Migration] | None = None) -> Sequence[int]:
    """Brings the database to this program's version; returns the versions that were applied now.

    Args:
        owner_url: libpq URL of the role that owns the database (and may create roles, where they are missing).
        available: instead of the files, for tests.

    Raises:
        StoreUnavailable: the server cannot be reached.
        ConfigurationError: the schema is newer than this program, or an applied file has been changed since.
        StoreError: PostgreSQL refused a statement; that migration and later ones did not happen.
    """
    wanted = migrations() if available is None else available
    applied = []
    with roles.connect(owner_url) as connection:
        roles.create_groups(connection)
        try:
            # For the session: the lock outlasts the transactions, and ends with the connection at the latest.
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            with connection.transaction():
                connection.execute(_VERSIONS)
            present = _present(connection)
            _check_history(present, wanted)
            for migration in wanted[len(present) :]:
                with connection.transaction():
                    connection.execute(migration.text.encode("utf-8"))
                    connection.execute(
                        "INSERT INTO schema_versions (version, name, checksum) VALUES (%s, %s, %s)",
                        (migration.version, migration.name, migration.checksum),
                    )
                log.info("schema: version %s (%s) applied", migration.version, migration.name)
                applied.append(migration.version)
        except psycopg.Error as error:
            raise StoreError(f"schema: {first_line(error)}") from error
    return applied


async def check_version(connection: _Executes) -> None:
    """Returns when the schema is the one this program needs.

    Raises:
        ConfigurationError: older, newer, or none at all.
    """
    needed = migrations()[-1].version
    found = await (await connection.execute("SELECT to_regclass('schema_versions')::text AS name")).fetchone()
    version = 0
    if found is not None and found["name"] is not None:
        row = await (await connection.execute("SELECT max(version) AS version FROM schema_versions")).fetchone()
        version = int(str(row["version"])) if row is not None and row["version"] is not None else 0
    if version > needed:
        raise _too_new(version, needed)
    if version < needed:
        raise ConfigurationError(
            "database", "schema", f"is version {version}, this program needs {needed}", next_step=UPGRADE
        )


def _present(connection: psycopg.Connection[tuple[object, ...]]) -> dict[int, str]:
    rows = connection.execute("SELECT version, checksum FROM schema_versions ORDER BY version").fetchall()
    return {int(str(version)): str(checksum) for version, checksum in rows}


def _check_history(present: Mapping[int, str], wanted: Sequence[Migration]) -> None:
    newest = max(present, default=0)
    if newest > len(wanted):
        raise _too_new(newest, len(wanted))
    for migration in wanted[:newest]:
        if present.get(migration.version) != migration.checksum:
            raise ConfigurationError(
                "database",
                "schema",
                f"version {migration.version} ({migration.name}) was applied with another text than this program's",
                next_step="install the release that this database was made with, or restore from a backup",
            )


def _too_new(found: int, known: int) -> ConfigurationError:
    return ConfigurationError(
        "database",
        "schema",
        f"is version {found}, this program knows {known}: it was made by a newer release",
        next_step="install that release here too",
    )
