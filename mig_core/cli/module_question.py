"""One module's question: its arguments checked, its remarks told, asked here or of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.cli import module_arguments
from mig_core.cli.terminal import YELLOW, note
from mig_core.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.cli.ask_options import AskOptions
    from mig_core.plugin.module import Module


def ask_module(module: Module[Any], arguments: Mapping[str, Any], options: AskOptions) -> int:
    """Asks; returns the exit status.

    Args:
        arguments: by the names that :func:`mig_core.cli.module_options.option_parameters` gives them.

    Raises:
        ParameterError: the module refuses them; names the option.
    """
    name = module.info.name
    try:
        raw = module.parameters.from_options(module_arguments.chosen(module.parameters, arguments))
        parsed = module.parse_parameters(raw)
    except ParameterError as error:
        raise ParameterError(
            module_arguments.option_of(module.parameters, error.path),
            error.problem,
            module=name,
            next_step=error.next_step or f"see: mig {name} --help",
        ) from None
    for remark in module.remarks(parsed):
        note(remark, YELLOW)
    if options.is_local:
        from mig_core.cli.local import run_locally

        return run_locally(module, raw, options)
    from mig_core.cli.ask import ask_operations
    from mig_core.domain.action import Operation

    return ask_operations([Operation(name, raw)], options)
