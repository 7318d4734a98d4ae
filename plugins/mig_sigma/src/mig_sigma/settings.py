"""The module's settings: the table ``[persistent.sigma]`` of the agent's configuration."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mig_core.domain.document import kind_of
from mig_core.errors import ConfigurationError
from mig_sigma.rule import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

TABLE = "persistent.sigma"
MAX_ENTRIES = 1000


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
    known = Settings.__dataclass_fields__
    values: dict[str, object] = {}
    for key, value in config.items():
        if key not in known:
            close = next(iter(difflib.get_close_matches(key, known, n=1)), "")
            hint = f"did you mean {close}?" if close else f"known keys: {', '.join(known)}"
            raise ConfigurationError("", f"{TABLE}.{key[:80]}", "is not a known key", next_step=hint)
        values[key] = _value(key, value)
    return Settings(**values)  # type: ignore[arg-type]  # _value has checked each one's type


def _value(key: str, value: JSON) -> object:
    if key == "builtin":
        if not isinstance(value, bool):
            _refuse(key, f"must be true or false, got {kind_of(value)}")
        return value
    if key == "minimum_level":
        if value not in LEVELS:
            _refuse(key, f"must be one of {', '.join(LEVELS)}, got {value!r:.40}")
        return value
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        _refuse(key, f"must be a list of at most {MAX_ENTRIES} texts, got {kind_of(value)}")
    for index, one in enumerate(value):
        if not isinstance(one, str):
            _refuse(f"{key}[{index}]", f"must be a string, got {kind_of(one)}")
        if key == "rules" and not one.startswith("/"):
            _refuse(f"{key}[{index}]", f"must be an absolute path, got {one!r:.80}")
    return tuple(str(one) for one in value)


def _refuse(key: str, problem: str) -> NoReturn:
    raise ConfigurationError("", f"{TABLE}.{key}", problem)
