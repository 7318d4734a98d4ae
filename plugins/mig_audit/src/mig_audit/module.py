"""The module itself: what it is, its settings, its question. ``watch`` does the work, in the module's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_audit.columns import COLUMNS
from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.parameters import Parameters
from mig_core.plugin.persistent import PersistentModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.persistent import Service

_SHOWN = (
    "mode", "enabled", "rules_wanted", "rules_loaded", "rules_waiting", "rules_refused", "rules_foreign", "events",
    "records", "backlog", "backlog_limit", "queued_records", "open_events",
)  # fmt: skip


class AuditModule(PersistentModule[None]):
    """Watches the kernel's audit trail."""

    info = ModuleInfo(
        name="audit",
        summary="watches the kernel's audit trail (persistent)",
        needs_root=True,
        discloses="whether auditing runs, how many rules are loaded, how many events were seen and lost",
    )
    parameters = Parameters()
    columns = COLUMNS

    def parse_parameters(self, raw: object, *, strict: bool = True) -> None:
        """There are none: asks for the status.

        Raises:
            ParameterError: something was given.
        """
        self.parameters.parse({} if raw is None else raw, strict=strict)

    def run(self, parameters: None, context: Context) -> ModuleResult:
        """Asks the running module how it is."""
        from mig_core.plugin.question import ask

        return ask(context, {})

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """One line with the state, one with what was lost, if anything was."""
        status = result.elements
        if result.found and isinstance(status, dict):
            yield " ".join(f"{key}={_text(status.get(key))}" for key in _SHOWN)
            lost = status.get("lost")
            if isinstance(lost, dict):
                grown = [f"{key}={_text(value)}" for key, value in lost.items() if value]
                yield f"lost: {' '.join(grown)}" if grown else "lost: nothing"
        if not found_only:
            yield from (_text(one) for one in result.errors)

    def check_config(self, config: Mapping[str, JSON]) -> None:
        """Checks every key and the rules in ``rules``; the file that ``rules_file`` names is read by ``serve``.

        Raises:
            ConfigurationError: names the key's path.
        """
        from mig_audit import settings
        from mig_audit.rule_fields import AnyAccount

        settings.rules_of(settings.read(config), AnyAccount(), with_file=False)

    def serve(self, service: Service) -> None:
        """Watches until the agent says stop.

        Raises:
            ConfigurationError: the rule file cannot be used.
            MigError: the kernel does not let this process watch.
        """
        from mig_audit.watch import Watch

        Watch(service).run()


def _text(value: object) -> str:
    return "unknown" if value is None else str(value).replace("\n", " ")
