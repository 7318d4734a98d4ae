"""Which persistent modules this agent runs: those whose table ``[persistent.NAME]`` is there and right.

Decided once, at start. Whatever is wrong becomes a failure that names the key, for the log, the heartbeat and
``mig agent show``; the agent and the other modules go on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from mig_core.domain.document import dump
from mig_core.errors import ConfigurationError, MigError
from mig_core.plugin.persistent import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.agent.operations.launcher import Catalogue
    from mig_core.domain.document import JSON

SOURCE = "agent.toml"
KEY = "persistent"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MAX_TABLE_BYTES = MAX_LINE_BYTES // 2


class Checker(Protocol):
    """Who can ask a module about its table: the executor, in a child."""

    def check_config(self, name: str, table: Mapping[str, JSON]) -> None:
        """Returns when the module can use it.

        Raises:
            ConfigurationError: names the key.
            MigError: it could not be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and what is not and why."""

    modules: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    """Name -> its table."""
    sink: str = ""
    """The one of them that takes alerts; empty when there is none."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Name -> what is wrong with its table."""
    detectors: frozenset[str] = frozenset()
    """Those that are given copies of alerts."""


def make_plan(tables: Mapping[str, object], catalogue: Catalogue, checker: Checker) -> Plan:
    """The plan for these settings and what is installed."""
    modules: dict[str, Mapping[str, JSON]] = {}
    failures: dict[str, str] = {}
    sink = ""
    for name, table in sorted(tables.items()):
        try:
            usable = _checked(name, table, catalogue, checker)
            if catalogue.persistent[name] and sink:
                raise ConfigurationError(SOURCE, f"{KEY}.{name}", f"takes alerts, and so does {sink}: only one may")
        except MigError as error:
            failures[name[:64]] = f"{error}; {error.next_step}" if error.next_step else str(error)
            continue
        modules[name] = usable
        if catalogue.persistent[name]:
            sink = name
    return Plan(modules, sink, failures, catalogue.detectors & modules.keys())


def _checked(name: str, table: object, catalogue: Catalogue, checker: Checker) -> Mapping[str, JSON]:
    key = f"{KEY}.{name}"
    if name not in catalogue.persistent:
        if name in catalogue.modules:
            raise ConfigurationError(SOURCE, key, "does not run persistently", next_step="take its table out")
        why = catalogue.failures.get(name)
        problem = f"cannot be loaded: {why}" if why else "is not installed, or not allowed"
        step = "" if why else f"pip install mig-plugin-{name:.32}; or take its table out"
        raise ConfigurationError(SOURCE, key, problem, next_step=step)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(SOURCE, key[:80], "is no name for a persistent module")
    if not isinstance(table, dict):
        raise ConfigurationError(SOURCE, key, f"must be a table, got {table!r:.60}")
    usable = _json(table, key)
    if len(dump(usable)) > _MAX_TABLE_BYTES:
        raise ConfigurationError(SOURCE, key, f"is larger than {_MAX_TABLE_BYTES} bytes")
    checker.check_config(name, usable)
    return usable


def _json(table: dict[str, Any], key: str) -> dict[str, JSON]:
    """The table, when it holds nothing but JSON values: TOML has dates and infinities, too."""
    for name, value in table.items():
        if isinstance(value, dict):
            _json(value, f"{key}.{name}")
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(SOURCE, f"{key}.{name}", f"cannot be used: {error}") from None
    return cast("dict[str, JSON]", table)
