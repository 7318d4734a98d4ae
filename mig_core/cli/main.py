"""``mig``: the root of the command line.

Names of commands are known without importing them: our own from the table below, modules' and plugins' from package
metadata. What a command needs is imported when it is called, so that ``mig --help`` stays quick however many plugins
are installed.
"""

from __future__ import annotations

import importlib
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mig_core.cli import exit_codes, words
from mig_core.cli.program import run
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN_COMMANDS = {
    "ask": ("mig_core.cli.ask_file:app", "Ask the action in a file (also: mig -i FILE)."),
    "agents": ("mig_core.cli.agents:app", "List agents."),
    "agent": ("mig_core.cli.agents:agent_app", "Show or approve one agent, retire one or many."),
    "actions": ("mig_core.cli.actions:app", "List actions."),
    "action": ("mig_core.cli.actions:action_app", "Show, follow, repeat, cancel, approve one action, or its results."),
    "results": ("mig_core.cli.results:app", "Print an action's answers; --verify checks what agents signed."),
    "sign": ("mig_core.cli.envelopes:sign_app", "Add your signature to a signed action in a file, without a platform."),
    "send": ("mig_core.cli.envelopes:send_app", "Send a signed action in a file (mig MODULE -s printed it)."),
    "diff": ("mig_core.cli.diff:app", "What differs: the same question then and now, or groups of endpoints."),
    "history": ("mig_core.cli.history:app", "Everything one endpoint ever answered."),
    "why": ("mig_core.cli.why:app", "Explain what became of one command."),
    "cases": ("mig_core.cli.cases:app", "List cases: questions and signed answers that belong together."),
    "case": ("mig_core.cli.cases:case_app", "Begin a case, add to it, export it, verify a case file."),
    "timeline": ("mig_core.cli.cases:timeline_app", "Write rows with times, as Timesketch imports them."),
    "proposals": ("mig_core.cli.proposals:app", "List questions that were proposed, for you to sign."),
    "proposal": ("mig_core.cli.proposals:proposal_app", "Show, sign or reject one proposal."),
    "investigators": ("mig_core.cli.investigators:app", "List investigators."),
    "investigator": ("mig_core.cli.investigators:investigator_app", "Add, change or show one investigator."),
    "log": ("mig_core.cli.platform_log:app", "Who asked, approved, retired, logged in or failed to, and from where."),
    "logout": ("mig_core.cli.logout:app", "End your session at the platform."),
    "enrolment": ("mig_core.cli.enrolment:app", "Secrets that admit agents, and agents that wait for approval."),
    "dashboard": ("mig_core.cli.dashboard:app", "Numbers of the platform."),
    "mcp": ("mig_core.cli.mcp:app", "Serve an assistant that reads, and proposes questions for you to sign."),
    "plugins": ("mig_core.cli.plugins:app", "List installed plugins, and what keeps others from loading."),
    "plugin": ("mig_core.cli.plugins:plugin_app", "Make a new plugin."),
    "config": ("mig_core.cli.configuration:app", "Write or show this investigator's settings."),
    "doctor": ("mig_core.cli.doctor:app", "Try everything that asking needs, and name the one thing that is wrong."),
    "demo": ("mig_core.cli.demo.command:app", "Run platform and agents on this machine, and ask some questions."),
}


_BACK = re.compile(r"-[1-9][0-9]{0,2}")


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit status."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if typed[:1] == ["-i"]:  # the original's spelling of: mig ask FILE
        typed[0] = "ask"
    typed = [
        *typed[:1],
        *(f"last-{int(word[1:]) - 1}" if _is_back(typed, at) else word for at, word in enumerate(typed) if at),
    ]
    return run(app, typed, name="mig")


def _is_back(typed: Sequence[str], at: int) -> bool:
    """Whether a word is ``-2``, the question before the last one, and no option's value."""
    if typed[0] not in OWN_COMMANDS or not _BACK.fullmatch(typed[at]):
        return False
    return not typed[at - 1].startswith("-") and "--" not in typed[:at]


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
