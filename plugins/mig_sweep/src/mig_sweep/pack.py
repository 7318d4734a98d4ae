"""Packs: questions worth having ready, as data.

A pack is a TOML file, its name that of the file::

    version = 1
    question = "In plain words?"
    reading = "How to read the answer."
    references = ["https://…"]
    target = "os = 'linux'"        # asked of these agents only; {version} is this program's own
    indicators = "…"               # a list as `mig sweep` reads it

    [[operations]]
    module = "process"

    [operations.parameters]
    memfd = true

It is signed like any action when it is run.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.domain.action import MAX_OPERATIONS, Operation
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KEYS = {"version", "question", "reading", "references", "target", "indicators", "operations"}


@dataclass(frozen=True, slots=True)
class Pack:
    """One of them."""

    name: str
    version: int
    question: str
    reading: str
    references: tuple[str, ...]
    target: str
    indicators: str
    operations: tuple[Operation, ...]


class PackError(MigError):
    """A pack is not usable."""

    def __init__(self, name: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.name = name

    def __str__(self) -> str:
        return f"pack {self.name}: {self.problem}"


def all_packs(folder: str = "") -> list[Pack]:
    """Those that are delivered, and those of a directory, which come before delivered ones of the same name.

    Args:
        folder: the directory; empty: what the environment variable ``MIG_PACKS`` names, if it is set.

    Raises:
        PackError: one is not usable.
    """
    found = {pack.name: pack for pack in map(_read, _files(folder))}
    return [found[name] for name in sorted(found)]


def pack_of(name: str, folder: str = "") -> Pack:
    """The pack of a name.

    Raises:
        PackError: there is none, or it is not usable.
    """
    for path in reversed(list(_files(folder))):
        if path.name == f"{name}.toml":
            return _read(path)
    raise PackError(name, "there is none of this name", next_step="see: mig pack list")


def _files(folder: str) -> Iterator[Any]:
    folder = folder or os.environ.get("MIG_PACKS", "")
    delivered = [one for one in files("mig_sweep.packs").iterdir() if one.name.endswith(".toml")]
    yield from sorted(delivered, key=lambda one: one.name)
    if folder:
        path = Path(folder)
        if not path.is_dir():
            raise PackError(folder, "is no directory")
        yield from sorted(path.glob("*.toml"))


def _read(path: Any) -> Pack:
    name = path.name.removesuffix(".toml")
    if not _NAME.fullmatch(name):
        raise PackError(name, "its name must have lower case letters, digits and dashes")
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise PackError(name, f"is larger than {MAX_BYTES} bytes")
        document = tomllib.loads(data.decode())
    except OSError as error:
        raise PackError(name, error.strerror or str(error)) from None
    except ValueError as error:  # tomllib's, or not UTF-8
        raise PackError(name, f"is no TOML: {error}") from None
    return _pack(name, document)


def _pack(name: str, document: dict[str, Any]) -> Pack:
    if unknown := set(document) - _KEYS:
        raise PackError(name, f"has unknown keys: {', '.join(sorted(unknown))}")
    operations = document.get("operations", [])
    if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
        raise PackError(name, f"operations must be a list of at most {MAX_OPERATIONS}")
    found = []
    for number, one in enumerate(operations):
        module, parameters = (one.get("module"), one.get("parameters")) if isinstance(one, dict) else (None, None)
        if not isinstance(module, str) or not isinstance(parameters, dict) or set(one) != {"module", "parameters"}:
            raise PackError(name, f"operations[{number}] must have a module and its parameters")
        found.append(Operation(module, parameters))
    pack = Pack(
        name=name,
        version=_of(document, "version", int, name),
        question=_of(document, "question", str, name),
        reading=_of(document, "reading", str, name).replace("\n", " "),
        references=tuple(str(one) for one in _of(document, "references", list, name)),
        target=_of({"target": "", **document}, "target", str, name).replace("{version}", version("mig-core")),
        indicators=_of({"indicators": "", **document}, "indicators", str, name),
        operations=tuple(found),
    )
    if not pack.operations and not pack.indicators.strip():
        raise PackError(name, "asks nothing: it has neither operations nor indicators")
    return pack


def _of(document: dict[str, Any], key: str, kind: type[Any], name: str) -> Any:
    value = document.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise PackError(name, f"{key} must be there and be {'a list' if kind is list else f'of type {kind.__name__}'}")
    return value
