"""``mig plugins`` and ``mig plugin new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.terminal import YELLOW, data, note

app = typer.Typer(add_completion=False, rich_markup_mode=None)
plugin_app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Make a new plugin.")

_GROUPS = {"mig.modules": "module", "mig.agent": "agent hooks", "mig.cli": "command", "mig.server": "server hooks"}


@app.command("plugins")
def plugins(json: tables.JsonOption = False) -> int:
    """List what is installed here, and what keeps others from loading."""
    from mig_core.plugin.manager import PluginManager, installed

    manager = PluginManager()
    rows = [
        {
            "name": one.name,
            "kind": kind,
            "distribution": one.distribution,
            "version": one.version,
            "problem": manager.failures.get(one.name, "") if kind == "module" else "",
            "discloses": manager.module(one.name).info.discloses if one.name in manager.names() else "",
        }
        for group, kind in _GROUPS.items()
        for one in installed(group)
    ]
    if json:
        tables.document(rows)
    else:
        head = ("name", "kind", "distribution", "version", "problem")
        tables.table(head, ([row[key] for key in head] for row in rows))
        if not rows:
            note("no plugin is installed; for example: pip install mig-plugin-file", YELLOW)
    return exit_codes.ERROR if manager.failures else exit_codes.ALL_ANSWERED


@plugin_app.command("list")
def list_plugins(json: tables.JsonOption = False) -> int:
    """The same as: mig plugins."""
    return plugins(json)


@plugin_app.command("new")
def new(
    name: str,
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to write it (default: ./mig_NAME)")] = None,
    table: Annotated[bool, typer.Option("--table", help="A module whose whole answer is rows")] = False,
) -> None:
    """Write a plugin that installs, is found, and passes the contract's tests."""
    from mig_core.cli.plugin_template import write_plugin

    place = write_plugin(name, folder or Path(f"mig_{name}"), table=table, taken=_taken(name))
    data(str(place))
    note(f"next: pip install -e {place} && pytest {place}")


def _taken(name: str) -> dict[str, str]:
    """Names that a module cannot have here -> who has them."""
    from importlib.util import find_spec

    from mig_core.cli.own_commands import OWN_COMMANDS
    from mig_core.plugin.manager import COMMANDS, MODULES, installed

    taken = dict.fromkeys(OWN_COMMANDS, "a command of mig itself")
    taken |= {
        one.name: f"{one.distribution}, which is installed" for one in (*installed(MODULES), *installed(COMMANDS))
    }
    if name not in taken and name.isidentifier() and find_spec(f"mig_{name}") is not None:
        taken[name] = f"the Python package mig_{name}, which is installed"
    return taken
