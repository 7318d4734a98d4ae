"""The module itself: what it is, its parameters, its question. ``watching`` does the work, in the module's process."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter, Parameters, Values
from mig_core.plugin.persistent import PersistentModule
from mig_sigma.columns import COLUMNS, ROWS_AT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.persistent import Service

MAX_RULES_TEXT = 700_000
"""Characters of rules that an action may bring."""


def _check_rules(text: str) -> None:
    from mig_core.errors import InvalidDocument
    from mig_sigma.rule import read

    if text:
        try:
            read(text, subject="rules")
        except InvalidDocument as error:
            raise ValueError(f"cannot be used: {error}") from None


def _check_action(text: str) -> None:
    if text:
        uuid.UUID(text)


class SigmaModule(PersistentModule[Values]):
    """Evaluates Sigma rules over the alerts of other modules."""

    info = ModuleInfo(
        name="sigma",
        summary="tells when a Sigma rule matches the audit trail or a change of a file (persistent)",
        discloses="which detection rules are in force, and how often each has matched",
    )
    parameters = Parameters(
        Parameter(name="status", key="status", help="says how the module stands (the default)", kind=Kind.BOOLEAN),
        Parameter(name="list", key="list", help="lists the rules with their matches", kind=Kind.BOOLEAN),
        Parameter(
            name="rules",
            key="rules",
            help="compiled rules to keep until the action's window ends (see: mig sigma compile --action)",
            max_length=MAX_RULES_TEXT,
            check=_check_rules,
            cli=False,
        ),
        Parameter(
            name="forget",
            key="forget",
            help="ends the rules of an earlier action before their time",
            metavar="ACTION",
            max_length=36,
            check=_check_action,
        ),
    )
    columns = COLUMNS
    rows_at = ROWS_AT
    watches_alerts: ClassVar[bool] = True

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        """What is asked; nothing: the status.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return self.parameters.parse({} if raw is None else raw, strict=strict)

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        """Asks the running module."""
        from mig_core.plugin.question import ask

        return ask(
            context,
            {
                "list": parameters.boolean("list"),
                "rules": parameters.text("rules"),
                "forget": parameters.text("forget"),
                "action": context.action,
                "window_ends": context.window_ends,
            },
        )

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """The status as one line, then a line for each rule."""
        from mig_core.plugin.printing import printable, row_text

        elements = result.elements if isinstance(result.elements, dict) else {}
        status = elements.get("status")
        if isinstance(status, dict):
            yield printable(" ".join(f"{key}={value}" for key, value in status.items() if not isinstance(value, dict)))
        for row in self.rows(result):
            yield printable(row_text((one.name for one in self.columns), row))
        if not found_only:
            yield from result.errors

    def check_config(self, config: Mapping[str, JSON]) -> None:
        """Checks every key; files are read by ``serve``.

        Raises:
            ConfigurationError: names the key's path.
        """
        from mig_sigma import settings

        settings.read(config)

    def serve(self, service: Service) -> None:
        """Looks at alerts until the agent says stop."""
        from datetime import UTC, datetime

        from mig_sigma.watching import Watching

        Watching(service, lambda: datetime.now(UTC)).run()
