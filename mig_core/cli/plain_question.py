"""A question to a module that is typed without faults, read without typer, whose import takes longer than the reading.

``mig file -path /etc -name '^shadow$'``: a module's word, then options that are spelt in full, each with its value. The
options are those that typer is given, from the same declarations (:mod:`.module_options`, :mod:`.ask_options`), and a
test holds both to the same meaning. Whatever is in any way unusual is left to typer, from its beginning: help, errors,
completion, abbreviations, questions whose answers become rows.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mig_core.cli import ask_options, words
from mig_core.cli.formats import Show
from mig_core.cli.module_arguments import PREFIX
from mig_core.cli.module_question import ask_module
from mig_core.cli.own_commands import OWN_COMMANDS
from mig_core.errors import MigError
from mig_core.plugin.parameters import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.plugin.parameters import Parameters

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_COMPLETING = "_MIG_COMPLETE"
"""Environment variable with which a shell asks typer what may be typed."""


class _Option(NamedTuple):
    """One spelling of an option."""

    name: str
    """Of the argument."""
    kind: Any
    """``str``, ``int``, :class:`Show`; None: it has no value, and means ``sets``."""
    many: bool = False
    sets: bool = True


def plain_question(typed: Sequence[str]) -> Callable[[], int] | None:
    """What asks it; None: this is no plain question."""
    if len(typed) < 2 or typed[0] in OWN_COMMANDS or _COMPLETING in os.environ:
        return None
    name = typed[0]
    if name not in words.summaries(words.MODULES) or name in words.summaries(words.COMMANDS):
        return None
    try:
        module = words.module(name)
        arguments = read_arguments(module.parameters, typed[1:])
        if arguments is None:
            return None
        options = ask_options.chosen(arguments)
    except MigError:
        return None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "typer":
            raise
        return None
    return None if options.rows is not None else partial(ask_module, module, arguments, options)


def read_arguments(parameters: Parameters, typed: Sequence[str]) -> dict[str, Any] | None:
    """What typer would give for these words, by argument; None: they are for typer."""
    table = _options(parameters)
    arguments: dict[str, Any] = {one.name: None for one in table.values()}
    arguments |= {f"ask_{name}": False if kind is bool else None for name, kind, *_ in ask_options.SPELLINGS}
    rest = iter(typed)
    for word in rest:
        spelling, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = table.get(spelling)
        if option is None or (equals and option.kind is None):
            return None
        if option.kind is None:
            arguments[option.name] = option.sets
            continue
        text = value if equals else next(rest, None)
        read = None if text is None else _read(option.kind, text)
        if read is None:
            return None
        if option.many:
            arguments[option.name] = [*(arguments[option.name] or ()), read]
        else:
            arguments[option.name] = read
    return arguments


def _read(kind: Any, text: str) -> Any:
    """The value; None: it is none, or not surely one."""
    if kind is int:
        return int(text) if _NUMBER.fullmatch(text) else None
    if kind is Show:
        return Show(text) if text in tuple(Show) else None
    return text


def _options(parameters: Parameters) -> dict[str, _Option]:
    table: dict[str, _Option] = {}
    for one in parameters.members:
        argument = PREFIX + one.name.replace("-", "_")
        if not one.cli:
            continue
        if one.kind is Kind.BOOLEAN:
            table |= {f"--{one.name}": _Option(argument, None), f"-{one.name}": _Option(argument, None)}
            table[f"--no-{one.name}"] = _Option(argument, None, sets=False)
        else:
            option = _Option(argument, int if one.kind is Kind.INTEGER else str, one.many)
            table |= {f"--{one.name}": option, f"-{one.name}": option}
    for switch in parameters.switches:
        option = _Option(PREFIX + switch.name.replace("-", "_"), None)
        table |= {f"--{switch.name}": option, f"-{switch.name}": option}
    for name, kind, _, spellings in ask_options.SPELLINGS:
        many = kind == list[str]
        option = _Option(f"ask_{name}", None if kind is bool else str if many else kind, many)
        table |= dict.fromkeys(spellings, option)
    return table
