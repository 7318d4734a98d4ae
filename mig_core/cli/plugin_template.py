"""What ``mig plugin new`` writes: the smallest whole plugin, with its tests; ``--table`` one whose answer is rows.

Both have the shape that ``docs/tutorial-plugin.md`` grows into the plugin of ``docs/examples``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mig-plugin-@name@"
version = "0.1.0"
description = "MIG module @name@: @summary@"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["mig-core>=0.2,<0.3"]

[project.optional-dependencies]
test = ["mig-core[testing]"]

[project.entry-points."mig.modules"]
@name@ = "mig_@name@:@Class@"

[tool.hatch.build.targets.wheel]
packages = ["src/mig_@name@"]
"""

_README = """\
# mig-plugin-@name@

A module for MIG agents: @summary@.

```
mig @name@ -t local @question@
```
"""

_INIT = '''\
"""The module ``@name@``: @summary@. ``module`` is what the entry point names."""

from mig_@name@.module import @Class@

__all__ = ["@Class@"]
'''

_MODULE = '''\
"""The module ``@name@``: says which of the given paths exist. Change this to what you are looking for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.domain.result import ModuleResult
from mig_core.plugin.coverage import Reason, Tally
from mig_core.plugin.module import Module, ModuleInfo
from mig_core.plugin.parameters import Parameter, Parameters

if TYPE_CHECKING:
    from mig_core.plugin.module import Context

TIME_UP = Reason("time ran out")


class @Class@(Module[tuple[str, ...]]):
    """Looks for files by their path. Its parsed parameters are the paths."""

    info = ModuleInfo(
        name="@name@",
        summary="@summary@",
        platforms=("linux", "darwin", "win32"),
        discloses="which of the given paths exist",
    )
    parameters = Parameters(
        Parameter(name="path", key="paths", many=True, required=True, help="Path to look for", metavar="PATH"),
    )

    def parse_parameters(self, raw: object, *, strict: bool = True) -> tuple[str, ...]:
        """The paths."""
        return self.parameters.parse(raw, strict=strict).texts("path")

    def run(self, parameters: tuple[str, ...], context: Context) -> ModuleResult:
        """Looks at each path once."""
        tally = Tally()
        found = []
        for path in parameters:
            if context.expired():
                tally.skip(TIME_UP, path)
                continue
            tally.examined("paths")
            if os.path.lexists(path):
                found.append(path)
        return ModuleResult(bool(found), True, {"paths": [*found]}, coverage=tally.coverage())
'''

_TEST = '''\
"""Tests of the module ``@name@``."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from mig_core.plugin.module import Context
from mig_core.testing.module_contract import ModuleContract
from mig_@name@ import @Class@


class Test@Class@Contract(ModuleContract):
    module = @Class@()
    good_parameters: ClassVar[dict[str, Any]] = {"paths": ["/etc/passwd"]}


def test_a_path_that_exists_is_found() -> None:
    result = @Class@().run(("/",), Context(deadline=time.monotonic() + 10))

    assert result.found
    assert result.coverage.complete
'''

_TABLE_MODULE = '''\
"""The module ``@name@``: says which accounts there are. Change this to what you are looking for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.table import TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.table import TableContext

ACCOUNTS = "/etc/passwd"
FIELDS = 7
UNREADABLE = Reason("file that cannot be read")
ODD = Reason("line that is no account")


class @Class@(TableModule):
    """A row for each account."""

    info = ModuleInfo(name="@name@", summary="@summary@", discloses="names, homes and shells of accounts")
    columns = (
        Column("user", ColumnKind.TEXT, "name of the account", always=True),
        Column("uid", ColumnKind.INTEGER, "number of the account"),
        Column("home", ColumnKind.PATH, "home directory", masked=True),
        Column("shell", ColumnKind.PATH, "program that runs at a login"),
    )

    def look(self, context: TableContext, tally: Tally) -> Iterator[Mapping[str, Cell]]:
        """Reads the file once; what was not asked for is left out by the caller."""
        try:
            with open(ACCOUNTS, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            tally.failed(UNREADABLE, ACCOUNTS, error.strerror or str(error))
            return
        for line in lines:
            fields = line.split(":")
            if len(fields) != FIELDS or not fields[2].isdecimal():
                tally.skip(ODD, line)
                continue
            tally.examined("accounts")
            yield {"user": fields[0], "uid": int(fields[2]), "home": fields[5], "shell": fields[6]}
'''

_TABLE_TEST = '''\
"""Tests of the module ``@name@``."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from mig_core.plugin.module import Context
from mig_core.testing.module_contract import ModuleContract
from mig_@name@ import @Class@


class Test@Class@Contract(ModuleContract):
    module = @Class@()
    good_parameters: ClassVar[dict[str, Any]] = {}


def test_the_account_that_was_asked_for_is_the_only_row() -> None:
    module = @Class@()

    result = module.run(module.parse_parameters({"uid": ["0"]}), Context(deadline=time.monotonic() + 10))

    assert {row["uid"] for row in module.rows(result)} == {0}
    assert result.coverage.complete
'''


def write_plugin(name: str, folder: Path, *, table: bool = False, taken: Mapping[str, str] | None = None) -> Path:
    """Writes a plugin's folder and returns it.

    Args:
        name: the module's.
        folder: must not exist yet.
        table: whether it is to be one whose whole answer is rows.
        taken: names that cannot be had -> who has them.

    Raises:
        PluginError: the name will not do or is taken, or the folder exists.
    """
    if not _NAME.fullmatch(name):
        raise PluginError(name, "a module's name is lower case letters, digits and _, at most 32 characters")
    if taken and name in taken:
        raise PluginError(name, f"the name is taken by {taken[name]}", next_step="choose another one")
    if folder.exists():
        raise PluginError(name, f"{folder} exists already", next_step="choose another place with --folder")
    files = {
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        f"src/mig_{name}/__init__.py": _INIT,
        f"src/mig_{name}/module.py": _TABLE_MODULE if table else _MODULE,
        f"src/mig_{name}/py.typed": "",
        f"tests/test_{name}_module.py": _TABLE_TEST if table else _TEST,
    }
    words = {
        "@name@": name,
        "@Class@": _class_name(name),
        "@summary@": "which accounts there are" if table else "which of the given paths exist",
        "@question@": "--uid 0" if table else "-path /etc/passwd",
    }
    for path, content in files.items():
        for word, meant in words.items():
            content = content.replace(word, meant)
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
    return folder


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) + "Module"
