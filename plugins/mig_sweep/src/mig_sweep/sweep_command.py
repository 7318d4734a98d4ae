"""``mig sweep REPORT …``: all indicators of reports as one question."""

from __future__ import annotations

import inspect
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import ask_options, exit_codes
from mig_core.cli.module_options import ModuleCommand
from mig_core.cli.terminal import YELLOW, data, note
from mig_core.errors import MigError

if TYPE_CHECKING:
    from mig_sweep.plan import Plan

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_SHOWN = 5


def _sweep(**arguments: Any) -> int:
    from mig_sweep.asking import ask
    from mig_sweep.documents.reading import read_all
    from mig_sweep.indicator import DocumentError
    from mig_sweep.plan import ROOTS, Settings, plan_of

    options = ask_options.chosen(arguments)
    settings = Settings(tuple(arguments["path"] or ROOTS), memory=arguments["memory"])
    try:
        plan = plan_of(read_all(arguments["reports"], datetime.now(UTC)), settings)
    except DocumentError as error:
        raise MigError(str(error), next_step="see: mig sweep --help") from None
    if arguments["explain"]:
        explain(plan)
        return exit_codes.ALL_ANSWERED
    summary(plan)
    if not plan.actions:
        raise MigError("nothing is left to be asked", next_step="mig sweep --explain says of each indicator why")
    return ask(plan, options)


def explain(plan: Plan) -> None:
    """What was made of each indicator."""
    word = "action" if len(plan.actions) == 1 else "actions"
    asked = f"{len(plan.indicators)} indicators are asked"
    data(f"{asked}, with {plan.operations} operations in {len(plan.actions)} {word}")
    for one in plan.indicators:
        notes = f"; {one.note}" if one.note else ""
        data(f"asked: {one.text} ({one.source}: {one.name}{notes})")
    for one in plan.refused:
        data(f"not asked: {one.text} ({one.source}: {one.name}): {one.refused}")


def summary(plan: Plan) -> None:
    """How many of each kind, and what is not asked, with the reasons."""
    kinds = Counter(one.kind for one in plan.indicators)
    modules = Counter(one.module for operations in plan.actions for one in operations)
    asked = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if plan.indicators:
        note(f"{len(plan.indicators)} indicators ({asked}) are asked of {', '.join(modules)}")
    for why, count in Counter(one.refused for one in plan.refused).most_common():
        examples = [one.text[:80] for one in plan.refused if one.refused == why][:_SHOWN]
        note(f"not asked: {count}: {why} ({'; '.join(examples)})", YELLOW)
    for text in dict.fromkeys(one.note for one in plan.indicators if one.note):
        note(f"note: {text}", YELLOW)


_PARAMETERS = [
    inspect.Parameter(
        "reports",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=Annotated[
            list[str],
            typer.Argument(help="STIX, MISP, OpenIOC, CycloneDX, SPDX, OSV, lists, CSV, YARA rules, directories"),
        ],
    ),
    inspect.Parameter(
        "path",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            list[str] | None,
            typer.Option("--path", "-path", help="Where files are looked for (default: nearly everywhere); repeatable"),
        ],
    ),
    inspect.Parameter(
        "memory",
        inspect.Parameter.KEYWORD_ONLY,
        default=True,
        annotation=Annotated[
            bool, typer.Option("--memory/--no-memory", help="Look for domains, URLs and YARA rules in memory too")
        ],
    ),
    inspect.Parameter(
        "explain",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--explain", help="Say what is made of each indicator; ask nothing")],
    ),
    *ask_options.option_parameters(),
]
_sweep.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # what typer reads
_sweep.__annotations__ = {one.name: one.annotation for one in _PARAMETERS}
_sweep.__doc__ = "Ask for all indicators of reports, with one signed action where they fit."
app.command("sweep", cls=ModuleCommand)(_sweep)
