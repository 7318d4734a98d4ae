"""Rows about sshd's configuration: each line, where it holds, and whether it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account.ground import NO_RECORD
from mig_account.sshd_config import counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground
    from mig_account.sshd_config import SshdConfig
    from mig_core.plugin.cells import Cell

SSHD = "sshd"


def sshd_rows(ground: Ground, config: SshdConfig) -> Iterator[dict[str, Cell]]:
    """A row for each line that sets something."""
    if not config.path:
        ground.tally.skip(NO_RECORD, "sshd_config")
    in_force = counts(config.settings)
    for one in config.settings:
        ground.tally.examined("settings")
        yield {
            "what": SSHD,
            "kind": one.keyword,
            "setting": one.text,
            "configuration": config.path,
            "condition": " and ".join(criteria.text for criteria in one.under),
            "in_force": id(one) in in_force,
            "path": one.path,
            "line": one.line,
        }
