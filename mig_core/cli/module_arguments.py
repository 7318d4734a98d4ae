"""What was given on the command line for a module's declared parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.plugin.parameters import text_of_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.plugin.parameters import Parameters

PREFIX = "module_"
"""In front of a parameter's name, so that it is not taken for one of the options that every question has."""


def chosen(parameters: Parameters, arguments: Mapping[str, object]) -> dict[str, object]:
    """Declared name -> value, for the options that were given.

    Raises:
        ParameterError: a file that one of them names cannot be read.
    """
    names = [one.name for one in parameters.members] + [one.name for one in parameters.switches]
    values = {name: arguments.get(PREFIX + name.replace("-", "_")) for name in names}
    for one in parameters.members:
        if one.reads_file and (value := values[one.name]):
            texts = [text_of_file(one, str(path)) for path in (value if isinstance(value, list) else [value])]
            values[one.name] = texts if isinstance(value, list) else texts[0]
    return {name: value for name, value in values.items() if value is not None}


def option_of(parameters: Parameters, path: str) -> str:
    """The option that a JSON path of the parameters came from: ``--name`` for ``searches.s1.names[0]``."""
    key = re.sub(r"\[[0-9]+\].*$", "", path).rpartition(".")[2]
    named = {one.key: one.name for one in parameters.members if one.cli}
    return f"--{named[key]}" if key in named else path
