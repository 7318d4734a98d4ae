"""The module's settings: the table ``[persistent.audit]`` of the agent's configuration."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mig_core.domain.document import kind_of
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_audit.rule_fields import AccountNumbers
    from mig_audit.ruleset import RuleSet
    from mig_core.domain.document import JSON

TABLE = "persistent.audit"
MULTICAST = ("auto", "only", "never")
MAX_RULES = 10_000
_LIMITS = {
    "backlog_limit": (64, 1 << 20),
    "rate_limit": (0, 1_000_000),
    "receive_buffer_mb": (1, 512),
    "queue_records": (1000, 2_000_000),
}
_OLD = {
    "rulespath": "rules_file",
    "ratelimit": "rate_limit",
    "backloglimit": "backlog_limit",
    "includeraw": "include_raw",
}
"""The original's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the table may say."""

    rules: tuple[str, ...] = ()
    """Rules in auditctl's syntax."""
    rules_file: str = ""
    """A file with rules, in auditctl's syntax or the original's JSON; loaded after ``rules``."""
    multicast: str = "auto"
    """Whether to listen beside another audit daemon: ``auto`` if there is one, ``only`` always, ``never``."""
    backlog_limit: int = 65_536
    """Records that the kernel keeps for us; a higher limit that is already set stays."""
    rate_limit: int | None = None
    """Records per second that the kernel lets through (0: all); not touched when missing."""
    receive_buffer_mb: int = 32
    """Size of the socket's buffer, in MiB."""
    queue_records: int = 200_000
    """Records that wait in memory while alerts leave slowly; more are dropped, and counted."""
    include_raw: bool = False
    """Whether events carry their records' text."""
    containers: bool = True
    """Whether events carry a hint at the control group and container of their process."""


def read(config: Mapping[str, JSON]) -> Settings:
    """The settings in the table, without looking at files.

    Raises:
        ConfigurationError: names the key's path.
    """
    known = Settings.__dataclass_fields__
    values: dict[str, object] = {}
    for key, value in config.items():
        if key not in known:
            close = _OLD.get(key) or next(iter(difflib.get_close_matches(key, known, n=1)), "")
            hint = f"did you mean {close}?" if close else f"known keys: {', '.join(known)}"
            raise ConfigurationError("", f"{TABLE}.{key[:80]}", "is not a known key", next_step=hint)
        values[key] = _value(key, value)
    return Settings(**values)  # type: ignore[arg-type]  # _value has checked each one's type


def rules_of(settings: Settings, accounts: AccountNumbers, *, with_file: bool) -> RuleSet:
    """The rules.

    Args:
        accounts: for names of users in them.
        with_file: whether ``rules_file`` is read too.

    Raises:
        ConfigurationError: names the key's path, or the file and the place in it.
    """
    from mig_audit import ruleset

    found = ruleset.read_lines(settings.rules, accounts, source="", key=TABLE + ".rules[{}]")
    if with_file and settings.rules_file:
        found += ruleset.read_file(settings.rules_file, accounts, key=f"{TABLE}.rules_file")
    return found


def _value(key: str, value: JSON) -> object:
    if key == "rules":
        return _rules(value)
    if key in _LIMITS:
        minimum, maximum = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int):
            _refuse(key, f"must be a whole number, got {kind_of(value)}")
        if not minimum <= value <= maximum:
            _refuse(key, f"must be from {minimum} to {maximum}, got {value}")
        return value
    if key in ("include_raw", "containers"):
        if not isinstance(value, bool):
            _refuse(key, f"must be true or false, got {kind_of(value)}")
        return value
    if not isinstance(value, str):
        _refuse(key, f"must be a string, got {kind_of(value)}")
    if key == "multicast" and value not in MULTICAST:
        _refuse(key, f"must be one of {', '.join(MULTICAST)}, got {value!r:.40}")
    if key == "rules_file" and not value.startswith("/"):
        _refuse(key, f"must be an absolute path, got {value!r:.80}")
    return value


def _rules(value: JSON) -> tuple[str, ...]:
    if not isinstance(value, list):
        _refuse("rules", f"must be a list of rules in auditctl's syntax, got {kind_of(value)}")
    if len(value) > MAX_RULES:
        _refuse("rules", f"has {len(value)} entries, at most {MAX_RULES} are accepted")
    for index, one in enumerate(value):
        if not isinstance(one, str):
            _refuse(f"rules[{index}]", f"must be a string, got {kind_of(one)}")
    return tuple(str(one) for one in value)


def _refuse(key: str, problem: str) -> NoReturn:
    raise ConfigurationError("", f"{TABLE}.{key}", problem)
