"""libpq URLs: checked before libpq sees them, because what libpq says of one that it cannot read repeats parts of it,
the password among them; and passwords taken out of what the driver says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRETS = ("password", "sslpassword")
HIDDEN = "(hidden)"


def check_url(url: str, key: str) -> None:
    """Returns when libpq can read it.

    Args:
        key: of the settings, for the error.

    Raises:
        ConfigurationError: it cannot. The URL may hold a password, so neither it nor libpq's words are shown.
    """
    try:
        host = str(conninfo_to_dict(url).get("host") or "")
    except (psycopg.Error, UnicodeError):
        host = "@@"
    if "@" in host[1:]:  # a password with @ in it, of which a part is taken for the host
        raise ConfigurationError(
            "database",
            key,
            "is no libpq URL",
            next_step="write it like postgresql://role@host:5432/mig; in a password write @ as %40, / as %2F, % as %25",
        ) from None


def without_password(text: object, url: str) -> str:
    """What the driver says, without the passwords of the URL, as they are or as they stand in it."""
    said = str(text)
    for secret in sorted(_passwords(url), key=len, reverse=True):
        said = said.replace(secret, HIDDEN)
    return said


def _passwords(url: str) -> Iterator[str]:
    try:
        found = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        return
    for name in _SECRETS:
        if password := str(found.get(name) or ""):
            yield from {password, quote(password), quote(password, safe="")}
