"""``-t local``: the module runs in this very process; no server, no settings, no signature."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes
from mig_core.cli.answers import AnswerPrinter
from mig_core.domain.result import ModuleResult

if TYPE_CHECKING:
    from mig_core.cli.ask_options import AskOptions
    from mig_core.domain.document import JSON
    from mig_core.plugin.module import Module

DEFAULT_TIME = timedelta(minutes=5)


def run_locally(module: Module[Any], raw: dict[str, JSON], options: AskOptions) -> int:
    """Runs the module here and prints its answer; returns the exit status."""
    from mig_core.plugin.module import Context

    parameters = module.parse_parameters(raw)
    seconds = (options.expiry or DEFAULT_TIME).total_seconds()
    try:
        result = module.run(parameters, Context(deadline=time.monotonic() + seconds))
    except Exception as error:
        result = ModuleResult.failure(f"{type(error).__name__}: {error}")
    printer = AnswerPrinter([module.info.name], options.show, options.format)
    printer.print(_command(result))
    printer.finish(None)
    if options.exit_found:
        return exit_codes.ALL_ANSWERED if result.found else exit_codes.ERROR
    return exit_codes.ALL_ANSWERED if result.success else exit_codes.INCOMPLETE


def _command(result: ModuleResult) -> dict[str, Any]:
    return {
        "agent": "",
        "agentname": socket.gethostname(),
        "state": "success" if result.success else "failed",
        "reason": "" if result.success else "; ".join(result.errors[:3]),
        "found": result.found,
        "complete": result.coverage.complete,
        "results": [result.to_json()],
    }
