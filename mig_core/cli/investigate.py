"""``mig MODULE``: a command made from what the module declares."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from mig_core.cli import ask_options, module_options, words
from mig_core.cli.module_question import ask_module


def module_command(name: str) -> Any:
    """The typer command of an installed module.

    Raises:
        ModuleUnknown: it cannot be loaded.
    """
    module = words.module(name)

    def ask(**arguments: Any) -> int:
        return ask_module(module, arguments, ask_options.chosen(arguments))

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
