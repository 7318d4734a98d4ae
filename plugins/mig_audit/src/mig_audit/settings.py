"""The module's settings: the table ``[persistent.audit]`` of the agent's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError
from mig_core.plugin.parameters import Parameters
from mig_core.plugin.settings import flag, number, read_table, rooted, setting, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_audit.rule_fields import AccountNumbers
    from mig_audit.ruleset import RuleSet
    from mig_core.domain.document import JSON

TABLE = "persistent.audit"
MULTICAST = ("auto", "only", "never")
MAX_RULES = 10_000
MAX_RULE = 1 << 16
_OLD = {
    "rulespath": "rules_file",
    "ratelimit": "rate_limit",
    "backloglimit": "backlog_limit",
    "includeraw": "include_raw",
}
"""The original's names."""


DECLARED = Parameters(
    texts("rules", "rules in auditctl's syntax", most=MAX_RULES, max_length=MAX_RULE),
    setting("rules_file", "a file with rules, in auditctl's syntax or the original's JSON", check=rooted),
    setting("multicast", "whether to listen beside another audit daemon", choices=MULTICAST),
    number("backlog_limit", "records that the kernel keeps for us", 64, 1 << 20),
    number("rate_limit", "records per second that the kernel lets through; 0: all", 0, 1_000_000),
    number("receive_buffer_mb", "size of the socket's buffer", 1, 512),
    number("queue_records", "records that wait in memory while alerts leave slowly", 1000, 2_000_000),
    flag("include_raw", "whether events carry their records' text"),
    flag("containers", "whether events carry a hint at the control group and container of their process"),
)


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
    for key in config.keys() & _OLD:
        raise ConfigurationError("", f"{TABLE}.{key}", "is not a known key", next_step=f"did you mean {_OLD[key]}?")
    return Settings(**read_table(DECLARED, config, path=TABLE).given_values())


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
