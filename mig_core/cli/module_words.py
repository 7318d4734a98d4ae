"""``mig WORD`` where a plugin has both a module and commands of that name: what is no command of its is a question.

So ``mig sigma test FILE`` is the plugin's own, and ``mig sigma --list -t all`` asks endpoints. The first word of a
question may be one of the module's switches without its dashes: ``mig sigma list -t all``.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from mig_core.cli import words
from mig_core.plugin.parameters import Kind

QUESTION = "question"
_HELP = {"-h", "--help", "-help"}


class ModuleWords(TyperGroup):
    """The group of a plugin's commands, with the module's question among them."""

    words: frozenset[str] = frozenset()
    """The module's switches."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Called with the words after the command's name."""
        if args and args[0] not in self.commands and args[0] not in _HELP:
            args = [QUESTION, *([f"--{args[0]}", *args[1:]] if args[0] in self.words else args)]
        return super().parse_args(ctx, args)


def both(name: str, local: object) -> Any:
    """The command.

    Args:
        name: the word of module and commands.
        local: the plugin's typer app, or its command group.

    Raises:
        ModuleUnknown: the module cannot be loaded.
    """
    from mig_core.cli.investigate import module_command

    group = typer.main.get_group(local) if isinstance(local, typer.Typer) else local
    module = words.module(name)
    question = module_command(name)
    commands = {**getattr(group, "commands", {}), QUESTION: question}
    made = ModuleWords(
        name=name,
        commands=commands,
        help=f"{module.info.summary[:1].upper()}{module.info.summary[1:]}. What is no command asks endpoints.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help", "-help"]},
        rich_markup_mode=None,
    )
    made.words = frozenset(
        [one.name for one in module.parameters.members if one.kind is Kind.BOOLEAN and one.cli]
        + [one.name for one in module.parameters.switches]
    )
    return made
