"""What is asked: the typed form of the parameters. Made by ``module`` when parameters are parsed."""

from __future__ import annotations

import os

from mig_core.errors import ParameterError
from mig_core.records import dataclass
from mig_pkg.condition import Condition
from mig_pkg.declaration import BELOW_PATHS, LANGUAGE_TYPES, NAMED_TYPES, PARAMETERS, PROGRAM_TYPES, SYSTEM_TYPES


@dataclass(frozen=True, slots=True)
class Request:
    """One operation's question."""

    names: tuple[str, ...]
    """Regular expressions; each has its own turn in the answer."""
    version: str
    """The version filter; empty accepts every version."""
    types: tuple[str, ...]
    """In the order they are looked at."""
    asked: frozenset[str]
    """Those of ``types`` that were named one by one: that there are none of them is then worth saying."""
    root: str
    """``/`` for the endpoint's own system."""
    paths: tuple[str, ...]
    by_source: bool = False
    """Whether the names are looked for among those of source packages too, and the version is the source's."""


def read_request(raw: object, *, strict: bool) -> Request:
    """The request in an operation's parameters.

    Raises:
        ParameterError: names the JSON path.
    """
    values = PARAMETERS.parse(raw, strict=strict)
    words = values.texts("type") or ("system",)
    wanted = set(words)
    if wanted & {"system", "all"}:
        wanted.update(SYSTEM_TYPES)
    if "all" in wanted:
        wanted.update(LANGUAGE_TYPES)
    paths = tuple(dict.fromkeys(os.path.normpath(one) for one in values.texts("path")))
    if "all" in wanted and paths:
        wanted.update(PROGRAM_TYPES)
    below = (*LANGUAGE_TYPES, *PROGRAM_TYPES, *NAMED_TYPES)
    types = tuple(one for one in (*SYSTEM_TYPES, *below) if one in wanted)
    if paths and not set(types) & set(below):
        raise ParameterError(
            "paths",
            "is only of use for packages of languages and programs",
            next_step=f"add one of the types {', '.join(below)}",
        )
    if not paths and wanted & BELOW_PATHS:
        raise ParameterError(
            "types",
            f"{' and '.join(sorted(wanted & BELOW_PATHS))} are looked for below a path only",
            next_step="say where the programs are, for example with --path /usr/local/bin",
        )
    version = values.text("version")
    try:
        Condition(version).check_operands(types)
    except ValueError as error:
        raise ParameterError("vermatch", str(error)) from None
    root = os.path.normpath(values.text("root") or "/")
    root = "/" if root == "//" else root
    asked = frozenset(words) & frozenset(types)
    return Request(values.texts("name"), version, types, asked, root, paths, values.boolean("bysource"))
