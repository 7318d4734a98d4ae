"""``-t local``: the module runs here, for this program alone; no server, no settings, no signature."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes
from mig_core.cli.answers import AnswerPrinter
from mig_core.domain.result import ModuleResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.cli.ask_options import AskOptions
    from mig_core.domain.document import JSON
    from mig_core.plugin.apart import HandOver
    from mig_core.plugin.module import Module

DEFAULT_TIME = timedelta(minutes=5)


def run_locally(module: Module[Any], raw: dict[str, JSON], options: AskOptions) -> int:
    """Runs the module here and prints its answer; returns the exit status."""
    return run_all_locally([(module, raw)], options)


def run_all_locally(
    asked: Sequence[tuple[Module[Any], dict[str, JSON]]], options: AskOptions, printer: AnswerPrinter | None = None
) -> int:
    """Runs several, one after the other, as the operations of one action; returns the exit status."""
    from mig_core.plugin.apart import run_apart

    parsed = [module.parse_parameters(raw) for module, raw in asked]
    deadline = time.monotonic() + (options.expiry or DEFAULT_TIME).total_seconds()
    results = [
        run_apart(partial(_result, module, parameters, deadline), deadline)
        for (module, _), parameters in zip(asked, parsed, strict=True)
    ]
    printer = printer or AnswerPrinter([module.info.name for module, _ in asked], options.show, options.format)
    printer.print(_command(results))
    printer.finish(None)
    if options.exit_found:
        return exit_codes.ALL_ANSWERED if printer.found else exit_codes.ERROR
    return exit_codes.ALL_ANSWERED if all(one.success for one in results) else exit_codes.INCOMPLETE


def _result(module: Module[Any], parameters: object, deadline: float, so_far: HandOver | None) -> ModuleResult:
    from mig_core.plugin.module import Context

    try:
        return module.run(parameters, Context(deadline=deadline, on_partial=so_far))
    except Exception as error:
        return ModuleResult.failure(f"{type(error).__name__}: {error}")


def _command(results: Sequence[ModuleResult]) -> dict[str, Any]:
    errors = [error for one in results if not one.success for error in one.errors]
    success = all(one.success for one in results)
    return {
        "agent": "",
        "agentname": socket.gethostname(),
        "state": "success" if success else "failed",
        "reason": "" if success else "; ".join(errors[:3]),
        "found": any(one.found for one in results),
        "complete": all(one.coverage.complete for one in results),
        "results": [one.to_json() for one in results],
    }
