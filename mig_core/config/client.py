"""What an investigator can set (``~/.config/mig/config.toml``); written by ``mig config init``."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  read at run time by the loader
from datetime import timedelta
from pathlib import Path  # noqa: TC003  read at run time by the loader

from mig_core.records import dataclass, field

ONLINE = "status='online'"
"""The target of who has set no other."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """All of the client's settings."""

    api: str = ""
    """Base URL of mig-api."""
    fingerprint: str = ""
    """Primary fingerprint of the key to sign with."""
    gnupg_home: Path | None = None
    """Empty: GnuPG's own default."""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    target: str = ONLINE
    """Used when ``-t`` is not given."""
    expiry: timedelta = timedelta(minutes=5)
    """Used when ``-e`` is not given."""
    confirm_above: int = 100
    """On a terminal, ask before a question goes to more endpoints than this."""
    macros: Mapping[str, str] = field(default_factory=dict)
    """Name -> target, for ``-t NAME``."""
