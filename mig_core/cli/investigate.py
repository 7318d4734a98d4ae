"""``mig MODULE``: a command made from what the module declares."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from mig_core.cli import ask_options, module_options, words
from mig_core.cli.terminal import YELLOW, note
from mig_core.errors import ParameterError


def module_command(name: str) -> Any:
    """The typer command of an installed module.

    Raises:
        ModuleUnknown: it cannot be loaded.
    """
    module = words.module(name)

    def ask(**arguments: Any) -> int:
        from mig_core.cli.ask import ask_operations
        from mig_core.domain.action import Operation

        options = ask_options.chosen(arguments)
        try:
            raw = module.parameters.from_options(module_options.chosen(module.parameters, arguments))
            parsed = module.parse_parameters(raw)
        except ParameterError as error:
            raise ParameterError(
                module_options.option_of(module.parameters, error.path),
                error.problem,
                module=name,
                next_step=error.next_step or f"see: mig {name} --help",
            ) from None
        for remark in module.remarks(parsed):
            note(remark, YELLOW)
        if options.is_local:
            from mig_core.cli.local import run_locally

            return run_locally(module, raw, options)
        return ask_operations([Operation(name, raw)], options)

    parameters = [*module_options.option_parameters(module.parameters), *ask_options.option_parameters()]
    ask.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    ask.__annotations__ = {one.name: one.annotation for one in parameters}
    ask.__doc__ = module.info.summary + "."
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help", "-help"]},
    )
    app.command(name, cls=module_options.ModuleCommand, no_args_is_help=True)(ask)
    return typer.main.get_command(app)
