"""``mig pack list | show NAME | run NAME``: questions worth having ready."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import ask_options, exit_codes
from mig_core.cli.module_options import ModuleCommand
from mig_core.cli.terminal import BLUE, data, note

if TYPE_CHECKING:
    from mig_core.cli.ask_options import AskOptions
    from mig_sweep.pack import Pack

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Questions worth having ready."
)
_FOLDER = Annotated[
    str, typer.Option("--packs", help="A directory with packs of your own beside the delivered ones (or MIG_PACKS)")
]


@app.command("list")
def list_packs(packs: _FOLDER = "") -> int:
    """List the packs, and what they ask."""
    from mig_sweep.pack import all_packs

    found = all_packs(packs)
    width = max(len(one.name) for one in found)
    for one in found:
        data(f"{one.name:{width}}  {one.question}")
    return exit_codes.ALL_ANSWERED


@app.command("show")
def show_pack(name: str, packs: _FOLDER = "") -> int:
    """Show a pack: what it asks of which modules, and how to read the answer."""
    from mig_sweep.pack import pack_of

    pack = pack_of(name, packs)
    data(f"{pack.name}, version {pack.version}")
    data(pack.question)
    data("")
    data(pack.reading)
    for reference in pack.references:
        data(f"  {reference}")
    if pack.target:
        data(f"asked only of agents with: {pack.target}")
    for one in pack.operations:
        data(f"{one.module} {json.dumps(one.parameters, ensure_ascii=False)}")
    for line in pack.indicators.strip().splitlines():
        data(f"indicator {line}")
    return exit_codes.ALL_ANSWERED


def _run(**arguments: Any) -> int:
    from mig_sweep.pack import pack_of

    options = ask_options.chosen(arguments)
    pack = pack_of(arguments["name"], arguments["packs"])
    if pack.target and not options.is_local:
        narrowing = f"({options.narrowing}) AND ({pack.target})" if options.narrowing else f"({pack.target})"
        options = replace(options, narrowing=narrowing)
    note(f"{pack.question} How to read the answer: mig pack show {pack.name}", BLUE)
    return _ask(pack, replace(options, name=f"pack {pack.name} {pack.version}"))


def _ask(pack: Pack, options: AskOptions) -> int:
    from mig_sweep import asking
    from mig_sweep.documents.lists import read_list
    from mig_sweep.plan import Settings, plan_of

    statuses = []
    if pack.indicators.strip():
        plan = plan_of(read_list(pack.indicators, pack.name), Settings())
        statuses.append(asking.ask(plan, options))
    if pack.operations:
        statuses.append(asking.ask_as_they_are(pack.operations, options))
    return max(statuses)


_PARAMETERS = [
    inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[str, typer.Argument()]),
    inspect.Parameter("packs", inspect.Parameter.KEYWORD_ONLY, default="", annotation=_FOLDER),
    *ask_options.option_parameters(),
]
_run.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # what typer reads
_run.__annotations__ = {one.name: one.annotation for one in _PARAMETERS}
_run.__doc__ = "Ask a pack, signed like any question."
app.command("run", cls=ModuleCommand)(_run)
