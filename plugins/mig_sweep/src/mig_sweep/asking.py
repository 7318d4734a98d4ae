"""Asks the actions of a plan, one after the other, and prints their answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes
from mig_core.cli.terminal import YELLOW, data, note
from mig_core.errors import MigError, PluginError
from mig_core.plugin.manager import load_module
from mig_sweep.matching import Matching
from mig_sweep.printing import SweepPrinter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.cli.ask_options import AskOptions
    from mig_core.domain.action import Operation
    from mig_sweep.plan import Plan


def ask(plan: Plan, options: AskOptions) -> int:
    """Asks; returns the worst exit status of all actions."""
    if options.rows is not None:
        raise MigError(
            "the platform knows no indicators, so it makes no rows of a sweep",
            next_step="leave out --where, --columns and --stack; --csv has a line for each row and indicator",
        )
    for operations in plan.actions:
        _check(operations)
    matching = Matching(plan)
    statuses = []
    for number, operations in enumerate(plan.actions):
        printer = SweepPrinter(operations, options.show, options.format, matching, head=number == 0)
        if len(plan.actions) > 1:
            note(f"action {number + 1} of {len(plan.actions)}")
        part = f"{number + 1}/{len(plan.actions)}" if len(plan.actions) > 1 else ""
        statuses.append(_ask_one(operations, options, printer, part))
        if statuses[-1] == exit_codes.INTERRUPTED:
            break
    if options.exit_found:
        return min(statuses, default=exit_codes.ERROR)
    return max(statuses, default=exit_codes.ALL_ANSWERED)


def ask_as_they_are(operations: Sequence[Operation], options: AskOptions) -> int:
    """Asks operations as one action, and prints the answers as every question's; returns the exit status."""
    _check(operations)
    return _ask_one(operations, options, None, "")


def _check(operations: Sequence[Operation]) -> None:
    """Checks each operation whose module is installed here.

    Raises:
        ParameterError: a module would refuse it; names the path.
    """
    for one in operations:
        module = _installed(one.module)
        if module is None:
            note(f"module {one.module} is not installed here: only the endpoints check its question", YELLOW)
            continue
        parsed = module.parse_parameters(one.parameters)
        for remark in module.remarks(parsed):
            note(remark, YELLOW)


def _ask_one(operations: Sequence[Operation], options: AskOptions, printer: SweepPrinter | None, part: str) -> int:
    if options.is_local:
        if options.dry_run:
            asked: list[dict[str, Any]] = [{"module": one.module, "parameters": one.parameters} for one in operations]
            data(json.dumps(asked, ensure_ascii=False))
            return exit_codes.ALL_ANSWERED
        return _here(operations, options, printer)
    from mig_core.cli.ask import ask_action, target_of
    from mig_core.client.compose import compose_action
    from mig_core.client.connection import connect

    connection = connect()
    action = compose_action(
        operations,
        name=f"{options.name} ({part})" if part else options.name,
        target=target_of(options, connection),
        expiry=options.expiry or connection.settings.expiry,
    )
    return ask_action(action, options, connection, printer)


def _here(operations: Sequence[Operation], options: AskOptions, printer: SweepPrinter | None) -> int:
    from mig_core.cli.local import run_all_locally

    asked = []
    for one in operations:
        module = _installed(one.module)
        if module is None:
            raise PluginError(
                one.module,
                "is not installed, and -t local asks here",
                next_step=f"pip install mig-plugin-{one.module}",
            )
        asked.append((module, dict(one.parameters)))
    return run_all_locally(asked, options, printer)


def _installed(name: str) -> Any:
    try:
        return load_module(name)
    except PluginError:
        return None
