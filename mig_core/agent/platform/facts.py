"""What this agent says of itself: its identity, and the environment facts as last gathered."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mig_core.domain.agent import shortened_name
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)


class Gatherer(Protocol):
    """Who can gather the facts: the executor, in a child."""

    def gather(self, name: str) -> dict[str, JSON]:
        """``{"name": …, "version": …, "environment": {…}}``.

        Raises:
            PluginError: they could not be gathered.
        """
        ...


class FactsHolder:
    """The current facts. Thread-safe; ``refresh`` is called by the heartbeat's thread.

    Args:
        first: what is known without looking; name, version and environment are replaced by what is gathered.
        name: the configured name, or empty.
        gatherer: looks.
        failures: what does not work, as of now.
        modules: names of those that can be run now; none: those of ``first``.
        trust: what it believes now, told among the environment facts.
        given: tags beneath its own.
    """

    def __init__(
        self,
        first: AgentFacts,
        *,
        name: str,
        gatherer: Gatherer,
        failures: Callable[[], Mapping[str, str]],
        modules: Callable[[], Iterable[str]] | None = None,
        trust: Callable[[], Mapping[str, JSON]] = dict,
        given: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._facts = first
        self._name = name
        self._gatherer = gatherer
        self._failures = failures
        self._modules = modules or (lambda: first.modules)
        self._trust = trust
        self._given = given
        self._noted: dict[str, str] = {}
        self._lock = threading.Lock()

    def current(self) -> AgentFacts:
        """The facts as last gathered; modules and trust as they are now."""
        modules, trust = tuple(self._modules()), self._trust()
        with self._lock:
            facts = self._facts
        tags = {**self._given(), **facts.tags}
        return replace(facts, modules=modules, environment={**facts.environment, **trust}, tags=tags)

    def note(self, name: str, problem: str) -> None:
        """Says at once what does not work, or with an empty text that it works again."""
        with self._lock:
            if self._facts.failures.get(name, "") != problem:
                failures = {key: text for key, text in self._facts.failures.items() if key != name}
                self._facts = replace(self._facts, failures={**failures, name: problem} if problem else failures)
                self._noted = {key: text for key, text in {**self._noted, name: problem}.items() if text}

    def refresh(self) -> None:
        """Looks again. What cannot be gathered stays as it was, and is reported as a failure."""
        failures = dict(self._failures())
        with self._lock:
            facts = self._facts
        try:
            gathered = self._gatherer.gather(self._name)
            environment = gathered["environment"]
            if isinstance(environment, dict):
                name, version = shortened_name(str(gathered["name"])), str(gathered["version"])[:128]
                facts = replace(facts, name=name, version=version, environment=environment)
        except (MigError, KeyError) as error:
            log.warning("the environment facts stay as they were: %s", error)
            failures["environment"] = str(error)[:500]
        with self._lock:
            self._facts = replace(facts, failures={**failures, **self._noted})
