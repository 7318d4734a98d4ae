"""From a module's declared parameters to options of a typer command.

Each option has two spellings: ``--path``, and the original's ``-path``.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from mig_core.cli.module_arguments import PREFIX
from mig_core.plugin.parameters import Kind, Parameter, Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.parameters import Parameters

_TYPES = {Kind.TEXT: str, Kind.INTEGER: int, Kind.BOOLEAN: bool}
_LARGEST_SHOWN = 1 << 32
"""An upper limit beyond this is there for parsers, and is not told."""
_FALSE = ("false", "f", "0")
_TRUE = ("true", "t", "1")


def option_parameters(parameters: Parameters) -> Iterator[inspect.Parameter]:
    """The parameters of a typer function; :mod:`mig_core.cli.module_arguments` reads what was given for them."""
    offered: list[Parameter | Switch] = [one for one in parameters.members if one.cli]
    for one in [*offered, *parameters.switches]:
        name = PREFIX + one.name.replace("-", "_")
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(one))


class ModuleCommand(TyperCommand):
    """A command that understands the original's spellings, and says which option was meant when one is misspelt."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Called by typer with the words after the command."""
        return super().parse_args(ctx, list(self._spelt_out(ctx, args)))

    def _spelt_out(self, ctx: Any, args: list[str]) -> Iterator[str]:
        flags: dict[str, bool] = {
            spelling: bool(getattr(one, "is_flag", False) or getattr(one, "count", False))
            for one in self.get_params(ctx)
            for spelling in (*one.opts, *one.secondary_opts)
        }
        rest = iter(args)
        for word in rest:
            name, equals, value = word.partition("=")
            if word == "--" or not word.startswith("-") or word == "-":
                yield word
            elif flags.get(name) is True and equals:
                yield _flag(ctx, name, value)
            elif flags.get(name) is False:
                yield word
                if not equals:
                    yield from itertools.islice(rest, 1)  # its value, whatever that looks like
            elif name in flags or len(name) == 2 or word.startswith("--"):
                yield word
            else:
                close = difflib.get_close_matches(name, flags, n=1)
                hint = f" Did you mean {close[0]}?" if close else f" See: {ctx.command_path} --help"
                ctx.fail(f"No such option: {name}.{hint}")


def _flag(ctx: Any, name: str, value: str) -> str:
    word = name.lstrip("-")
    if value.lower() in _TRUE:
        return f"--{word}"
    if value.lower() in _FALSE:
        return f"--no-{word}"
    ctx.fail(f"Option {name} takes true or false, got {value!r}")
    raise AssertionError("unreachable")


def _annotation(one: Parameter | Switch) -> Any:
    double, single = f"--{one.name}", f"-{one.name}"
    text = one.help[:1].upper() + one.help[1:]
    if isinstance(one, Switch):
        return Annotated[bool | None, typer.Option(double, single, help=text, show_default=False)]
    text += _fine_print(one)
    if one.kind is Kind.BOOLEAN:
        option = typer.Option(f"{double}/--no-{one.name}", single, help=text, show_default=False)
        return Annotated[bool | None, option]
    kind: Any = _TYPES[one.kind]
    option = typer.Option(double, single, help=text, metavar=one.metavar or None, show_default=False)
    return Annotated[list[kind] | None if one.many else kind | None, option]


def _fine_print(one: Parameter) -> str:
    """What may be given, and what is meant when nothing is."""
    notes = []
    if one.choices:
        notes.append(f"one of: {', '.join(one.choices)}")
    if one.minimum is not None and one.maximum is not None and one.maximum <= _LARGEST_SHOWN:
        notes.append(f"{one.minimum} to {one.maximum}")
    default = one.cli_default if one.cli_default is not None else one.default
    if default not in (None, "", False):
        notes.append(f"default: {'yes' if default is True else default}")
    if one.required:
        notes.append("required")
    if one.many:
        notes.append("repeatable")
    return f" ({'; '.join(notes)})" if notes else ""
