"""The module's settings: the table ``[persistent.sigma]`` of the agent's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.plugin.parameters import Parameters
from mig_core.plugin.settings import flag, read_table, rooted, setting, texts
from mig_sigma.rule import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

TABLE = "persistent.sigma"


DECLARED = Parameters(
    texts("rules", "files with rules, or folders with such", check=rooted),
    flag("builtin", "whether the rules that come with the module are in force"),
    setting("minimum_level", "rules below this level are not evaluated", choices=LEVELS),
    texts("exclude", "ids of rules that are not evaluated"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the table may say."""

    rules: tuple[str, ...] = ()
    """Absolute paths of files with rules, or of folders with such: compiled (``.json``) or Sigma's own (``.yml``)."""
    builtin: bool = True
    """Whether the rules that come with the module are in force."""
    minimum_level: str = "low"
    """Rules below this level are not evaluated."""
    exclude: tuple[str, ...] = ()
    """Ids of rules that are not evaluated."""


def read(config: Mapping[str, JSON]) -> Settings:
    """The settings in the table, without looking at files.

    Raises:
        ConfigurationError: names the key's path.
    """
    return Settings(**read_table(DECLARED, config, path=TABLE).given_values())
