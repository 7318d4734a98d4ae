"""Whether ``mig-api`` can be put together with its settings: at a start, and before it begins again with other ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.api.clients import TrustedProxies
from mig_core.api.files import PlatformFiles
from mig_core.api.listening import listening
from mig_core.api.server import uvicorn_config
from mig_core.api.workers import MOST_WORKERS
from mig_core.config.loader import load_settings
from mig_core.config.server import ApiSettings, inline_or_file
from mig_core.errors import ConfigurationError
from mig_core.store.examination import require_database
from mig_core.store.roles import API, connect

if TYPE_CHECKING:
    from pathlib import Path


def check_usable(file: Path | None, before: ApiSettings, url_before: str) -> None:
    """Returns when mig-api could be put together with the settings as they are now, and do its work.

    Args:
        file: the settings.
        before: those in force; what they have too is not tried.
        url_before: their database login.

    Raises:
        MigError: it could not.
    """
    settings = load_settings(ApiSettings, role="api", path=file, environment=os.environ)
    PlatformFiles(settings)
    proxies_of(settings)
    uvicorn_config(None, settings)
    check_workers(settings.workers)
    if settings.state != before.state:
        state_folder(settings.state)
    if not settings.addresses:
        raise ConfigurationError("api", "listen", "is empty", next_step="address:port, or unix:/path")
    for address in settings.addresses:
        if address not in before.addresses and not address.startswith("unix:"):
            with listening(address):
                pass
    database = settings.database
    owner_url = inline_or_file("database.owner_url", database.owner_url, database.owner_url_file)
    if owner_url:
        connect(owner_url).close()
    url = database_url(settings)
    if url != url_before:
        require_database(url, API)


def check_workers(number: int) -> None:
    """Returns when so many processes may be had.

    Raises:
        ConfigurationError: they may not.
    """
    if not 1 <= number <= MOST_WORKERS:
        raise ConfigurationError("api", "workers", f"must be from 1 to {MOST_WORKERS}, got {number}")


def database_url(settings: ApiSettings) -> str:
    """The URL of mig-api's own role.

    Raises:
        ConfigurationError: there is none, or its file cannot be read.
    """
    database = settings.database
    url = inline_or_file("database.url", database.url, database.url_file)
    if not url:
        raise ConfigurationError(
            "api", "database.url", "is missing", next_step="set it, or database.url_file, or MIG_API_DATABASE_URL"
        )
    return url


def proxies_of(settings: ApiSettings) -> TrustedProxies:
    """Those of the settings.

    Raises:
        ConfigurationError: one is no address.
    """
    try:
        return TrustedProxies(settings.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError("api", "trusted_proxies", str(error)) from error


def state_folder(path: Path) -> Path:
    """The folder, there and nobody else's.

    Raises:
        ConfigurationError: it cannot be made so.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            "api", "state", f"{path}: {error.strerror}", next_step="choose a directory that mig-api may write to"
        ) from error
    return path
