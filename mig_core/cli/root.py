"""The typer app of ``mig``: help, completion, and every command line that is no plain question.

Names of commands are known without importing them: our own from a table, modules' and plugins' from package metadata.
What a command needs is imported when it is called, so that ``mig --help`` stays quick however many plugins are
installed.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mig_core.cli import exit_codes, words
from mig_core.cli.own_commands import OWN_COMMANDS
from mig_core.errors import MigError


class LazyGroup(TyperGroup):
    """Lists commands from metadata and imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Modules and plugins' commands first, then our own."""
        plugins = {**words.summaries(words.MODULES), **words.summaries(words.COMMANDS)}
        return [*sorted(set(plugins) - set(OWN_COMMANDS)), *OWN_COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports a command. Our own names win over plugins'."""
        return _command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Says which command may have been meant by one that there is not."""
        if args and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1, cutoff=0.6)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]}?" if near else " See: mig --help"))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in ``mig --help``, made without importing any command."""
        summaries = {**words.summaries(words.MODULES), **words.summaries(words.COMMANDS)}
        questions = [(name, text) for name, text in sorted(summaries.items()) if name not in OWN_COMMANDS]
        if questions:
            with formatter.section("Questions (one word a module)"):
                formatter.write_dl(questions)
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in OWN_COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help", "-help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", "-V", help="Show the version and end")] = False,
) -> None:
    """Ask thousands of endpoints a signed question, for example:

    mig file -path /etc -name '^shadow$' -content '^root:'
    """
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"mig {installed_version('mig-core')}")
        raise typer.Exit(exit_codes.ALL_ANSWERED)


@cache
def _command(name: str) -> Any:
    """What a word calls; None: there is no such word."""
    if name in OWN_COMMANDS:
        module, _, attribute = OWN_COMMANDS[name][0].partition(":")
        return _as_command(getattr(importlib.import_module(module), attribute), name)
    if name in words.summaries(words.MODULES):
        if name in words.summaries(words.COMMANDS):
            from mig_core.cli.module_words import both

            return both(name, words.command(name))
        from mig_core.cli.investigate import module_command

        return module_command(name)
    if name in words.summaries(words.COMMANDS):
        return _as_command(words.command(name), name)
    return None


def _as_command(loaded: object, name: str) -> Any:
    command = typer.main.get_command(loaded) if isinstance(loaded, typer.Typer) else loaded
    if not hasattr(command, "main"):
        raise MigError(f"plugin command {name!r} is not a typer app", next_step="report it to the plugin's author")
    return command
