"""The words of ``mig`` that plugins bring: known without importing them, and loaded when one is asked for."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from mig_core.plugin.index import installed_words

if TYPE_CHECKING:
    from mig_core.plugin.index import Entry
    from mig_core.plugin.module import Module

MODULES = "mig.modules"
COMMANDS = "mig.cli"


@cache
def summaries(group: str) -> dict[str, str]:
    """Name -> one line of help."""
    return {
        one.name: one.summary or f"From {one.distribution}."
        for one in sorted(_words(), key=_order)
        if one.group == group
    }


@cache
def module(name: str) -> Module[Any]:
    """A module, without looking at any other.

    Raises:
        ModuleUnknown: nothing installed provides it, or it cannot be loaded.
    """
    from mig_core.plugin.manager import load_module

    return load_module(name, targets=_values(MODULES, name))


def command(name: str) -> object:
    """The typer app that a plugin registers as ``mig NAME``.

    Raises:
        PluginError: nothing installed provides it, two distributions do, or it cannot be imported.
    """
    from mig_core.plugin.manager import load_command
    from mig_core.plugin.registered import named

    targets = _values(COMMANDS, name)
    if len(targets) == 1:
        with suppress(Exception):  # whatever a plugin's file raises: the long way round says it in its words
            return named(targets[0])
    return load_command(name)


def _values(group: str, name: str) -> list[str]:
    return [one.value for one in _words() if (one.group, one.name) == (group, name)]


_words = cache(installed_words)


def _order(one: Entry) -> tuple[str, str]:
    return one.name, one.distribution
