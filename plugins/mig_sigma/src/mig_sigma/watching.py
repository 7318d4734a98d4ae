"""A running detector: rules, alerts, matches and questions put together. The composition root of ``serve``.

Threads: alerts come in one of their own, questions in another, and the main one looks at the clock. The rules in force
are one object that is replaced as a whole; what replaces it holds the lock.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any, cast

from mig_core.domain.ids import check_uuid
from mig_core.domain.result import Coverage, ModuleResult
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import MigError
from mig_sigma import loading, settings
from mig_sigma.judging import Judge
from mig_sigma.lineage import Lineage
from mig_sigma.matcher import RuleSet
from mig_sigma.rule import LEVELS, read
from mig_sigma.temporary import Brought, Temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Incoming, Service
    from mig_sigma.rule import Rule

SCHEMA = 1
TICK = 1.0
"""Seconds between looks at the clock."""
MOST_PROBLEMS = 50
"""Files and rules that are named in an answer, of those that cannot be used."""


class Watching:
    """One run of the module.

    Args:
        service: the agent's side.
        now: the time.
    """

    def __init__(self, service: Service, now: Callable[[], datetime]) -> None:
        self._service = service
        self._now = now
        self._settings = settings.read(service.config)
        self._lock = threading.Lock()
        self._lineage = Lineage()
        self._found = loading.find(self._settings.rules, builtin=self._settings.builtin)
        self._temporary = Temporary(service.state, now)
        self._counts: dict[str, int] = {}
        self._last: dict[str, str] = {}
        self._judge = Judge(self._lineage, service.hostname)
        self._seen = {"alerts": 0, "matches": 0, "missed": 0, "incomplete": 0, "unreadable": 0}
        self._origins: dict[str, tuple[Rule, str, datetime | None]] = {}
        self._idle: dict[str, str] = {}
        self._rules = RuleSet([])
        self._renew()

    def run(self) -> None:
        """Looks at alerts until the service is stopping."""
        service = self._service
        for name, problem in (self._found.problems | self._temporary.problems).items():
            service.log(logging.ERROR, f"{name}: {problem}")
        service.log(logging.INFO, f"{self._rules.count} rules are in force, {len(self._idle)} are not")
        service.answer_with(self._answer)
        service.take_alerts(self.look)
        reported: Mapping[str, JSON] = {}
        while True:
            status = self.status()
            if status != reported:
                reported = status
                service.status(status)
            if service.stopping.wait(TICK):
                return
            with self._lock:
                over = self._temporary.expired()
                if over:
                    self._renew()
            for action in over:
                service.log(logging.INFO, f"the rules of action {action} have ended with its window")

    def status(self) -> dict[str, JSON]:
        """The counters, for the heartbeat and for questions."""
        return {
            "rules": self._rules.count,
            "rules_idle": len(self._idle),
            "actions": len(self._temporary.all()),
            "problems": len(self._found.problems) + len(self._temporary.problems),
            **self._seen,
        }

    def look(self, alerts: Sequence[Incoming]) -> None:
        """Looks at alerts, and tells what matches."""
        for one in alerts:
            self._seen["alerts"] += 1
            if one.module == "agent":
                self._missed(one.raw)
            else:
                self._look_at(one.module, one.raw)

    def _look_at(self, module: str, raw: bytes) -> None:
        if b'"complete":false' in raw or b'"cut":{' in raw:
            self._seen["incomplete"] += 1
        try:
            matches = self._judge.judge(self._rules, module, raw)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            # A module of another version may report in another shape: this alert is not judged, and counted.
            self._seen["unreadable"] += 1
            if self._seen["unreadable"] == 1:
                self._service.log(logging.WARNING, f"an alert of {module} cannot be judged: {error!r:.200}")
            return
        for match in matches:
            self._tell(match.rule, module, match.alert)

    def _tell(self, rule: Rule, module: str, alert: dict[str, Any]) -> None:
        time = format_time(self._now().replace(microsecond=0))
        self._seen["matches"] += 1
        self._counts[rule.id] = self._counts.get(rule.id, 0) + 1
        self._last[rule.id] = time
        process = alert.get("process")
        by = alert.get("by")
        if isinstance(process, dict):
            parents = self._lineage.chain(process.get("ppid"))
        else:
            parents = self._lineage.chain(by.get("pid")) if isinstance(by, dict) else []
        match: dict[str, JSON] = {
            "schema": SCHEMA,
            "type": "sigma_match",
            "time": time,
            "level": rule.level,
            "rule": {**rule.told(), "origin": self._origins[rule.id][1] if rule.id in self._origins else "ended"},
            "kind": rule.kind,
            "module": module,
            "event": alert,
            "parents": parents,
        }
        self._send(match)

    def _send(self, alert: dict[str, JSON]) -> None:
        if not self._service.alert(alert):
            raise MigError("stopping: this alert is looked at again")

    def _missed(self, raw: bytes) -> None:
        notice: Any = json.loads(raw)
        count = notice.get("count") if isinstance(notice, dict) else None
        if isinstance(count, int):
            self._seen["missed"] += count
            time = format_time(self._now().replace(microsecond=0))
            self._service.log(logging.WARNING, f"{count} alerts could not be looked at")
            self._send({"schema": SCHEMA, "type": "sigma_missed", "time": time, "alerts": count})

    # -- rules -------------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Puts the rules of settings and actions in force. Of two with one id the settings' counts."""
        least = LEVELS.index(self._settings.minimum_level)
        origins: dict[str, tuple[Rule, str, datetime | None]] = {}
        for rule, origin in self._found.rules.values():
            origins[rule.id] = (rule, origin, None)
        for brought in self._temporary.all():
            for rule in brought.rules:
                origins.setdefault(rule.id, (rule, brought.action, brought.until))
        idle: dict[str, str] = {}
        chosen = []
        for rule, _origin, _until in origins.values():
            if rule.id in self._settings.exclude:
                idle[rule.id] = "excluded by the settings"
            elif LEVELS.index(rule.level) < least:
                idle[rule.id] = f"below the level {self._settings.minimum_level}"
            else:
                chosen.append(rule)
        rules = RuleSet(chosen)
        self._origins, self._idle, self._rules = origins, idle | rules.unusable, rules

    def _answer(self, raw: object) -> ModuleResult:
        question = cast("dict[str, Any]", raw if isinstance(raw, dict) else {})
        with self._lock:
            if question.get("rules"):
                return self._put(question)
            if question.get("forget"):
                if not question.get("action"):
                    return ModuleResult.failure("only a signed action may end rules")
                gone = self._temporary.forget(str(question["forget"]))
                self._renew()
                return ModuleResult(gone, True, {"status": self.status()})
            elements: dict[str, JSON] = {"status": self.status()}
            if question.get("list"):
                elements["rules"] = [self._row(identifier) for identifier in self._origins]
            problems = self._found.problems | self._temporary.problems
        errors = tuple(f"{name}: {problem}" for name, problem in list(problems.items())[:MOST_PROBLEMS])
        examined = {"rules": len(self._origins)}
        return ModuleResult(True, True, elements, None, errors, Coverage(complete=not problems, examined=examined))

    def _put(self, question: Mapping[str, Any]) -> ModuleResult:
        action, window_ends = question.get("action"), question.get("window_ends")
        if not action or not window_ends:
            return ModuleResult.failure("only a signed action may bring rules: they are kept until its window ends")
        try:
            check_uuid(action, subject="action", path="id")
            rules = read(str(question["rules"]), subject="rules")
            unusable = RuleSet(rules).unusable
            self._temporary.put(Brought(str(action), parse_time(window_ends), tuple(rules)))
        except (MigError, ValueError, OSError) as error:
            return ModuleResult.failure(f"the rules cannot be used: {error}")
        self._renew()
        self._service.log(logging.INFO, f"action {action} brought {len(rules)} rules, until {window_ends}")
        brought: list[JSON] = [self._row(one.id) for one in rules]
        errors = tuple(f"{identifier}: {why}" for identifier, why in unusable.items())
        return ModuleResult(True, True, {"status": self.status(), "rules": brought}, None, errors)

    def _row(self, identifier: str) -> dict[str, JSON]:
        rule, origin, until = self._origins[identifier]
        row: dict[str, JSON] = {
            "id": rule.id, "title": rule.title, "level": rule.level, "kind": rule.kind, "origin": origin,
            "state": self._idle.get(identifier, "active"), "matches": self._counts.get(identifier, 0),
        }  # fmt: skip
        if until is not None:
            row["until"] = format_time(until)
        if identifier in self._last:
            row["last_match"] = self._last[identifier]
        return row
