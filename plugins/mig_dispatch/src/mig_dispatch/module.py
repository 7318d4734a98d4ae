"""The module itself: what the entry point names. Importing it is cheap; ``serve`` imports the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mig_core.domain.result import Coverage, ModuleResult
from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.parameters import Parameters, Values
from mig_core.plugin.persistent import PersistentModule, Service
from mig_core.plugin.question import ask
from mig_core.records import replace
from mig_dispatch import status
from mig_dispatch.columns import COLUMNS, ROWS_AT
from mig_dispatch.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON


class DispatchModule(PersistentModule[Values]):
    """Forwards the alerts of all persistent modules; asked, it tells how far each sink has come."""

    info = ModuleInfo(
        name="dispatch",
        summary="forwards alerts to HTTP, Elasticsearch, Splunk, GELF, syslog, SNS or a file (persistent)",
        discloses="names of sinks, counts of alerts, and what sinks answered last",
    )
    parameters = Parameters()
    columns = COLUMNS
    rows_at = ROWS_AT
    takes_alerts: ClassVar[bool] = True

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        """There are none.

        Raises:
            ParameterError: there is something all the same.
        """
        return self.parameters.parse(raw, strict=strict)

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        """Asks the running module for its counters."""
        del parameters
        return ask(context, {})

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for the spool and one for each sink."""
        return status.lines(result, found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The counters without names and words of receivers."""
        return replace(
            result,
            elements=status.masked(result.elements),
            errors=tuple("masked" for _ in result.errors),
            coverage=Coverage(result.coverage.complete, result.coverage.examined),
        )

    def check_config(self, config: Mapping[str, JSON]) -> None:
        """Returns when the table can be used.

        Raises:
            ConfigurationError: names the key, like ``sinks[0].url``.
        """
        read_settings(config)

    def serve(self, service: Service) -> None:
        """Forwards alerts until the module is to stop."""
        import random
        import uuid
        from datetime import UTC, datetime

        from mig_dispatch.serving import serve

        serve(
            service,
            read_settings(service.config),
            chance=random.SystemRandom(),
            now=lambda: datetime.now(UTC),
            new_id=lambda: uuid.uuid4().hex,
        )
