"""What ``mig plugin new`` writes: the smallest whole plugin, with its tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mig-plugin-@name@"
version = "0.1.0"
description = "MIG module @name@: says whether a file exists on the endpoint"
requires-python = ">=3.11"
dependencies = ["mig-core>=0.1,<0.2"]

[project.optional-dependencies]
test = ["mig-core[testing]"]

[project.entry-points."mig.modules"]
@name@ = "mig_@name@:@Class@"

[tool.hatch.build.targets.wheel]
packages = ["src/mig_@name@"]
"""

_MODULE = '''\
"""The module ``@name@``: says whether a file exists on the endpoint. Change this to what you are looking for."""

from __future__ import annotations

import os

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.parameters import Parameter, Parameters


class @Class@(Module[tuple[str, ...]]):
    """Looks for files by their path. Its parsed parameters are the paths."""

    info = ModuleInfo(
        name="@name@",
        summary="does a file exist",
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
        found: list[str] = []
        examined = 0
        for path in parameters:
            if context.expired():
                break
            examined += 1
            if os.path.lexists(path):
                found.append(path)
        left = len(parameters) - examined
        return ModuleResult(
            found=bool(found),
            success=True,
            elements={"paths": list(found)},
            coverage=Coverage(
                complete=not left,
                examined={"paths": examined},
                skipped=(Skipped("time ran out", left),) if left else (),
            ),
        )
'''

_TEST = '''\
"""Tests of the module ``@name@``."""

from __future__ import annotations

import time

from mig_core.plugin.module import Context
from mig_core.testing.module_contract import ModuleContract
from mig_@name@ import @Class@


class Test@Class@Contract(ModuleContract):
    module = @Class@()
    good_parameters = {"paths": ["/etc/passwd"]}


def test_a_path_that_exists_is_found() -> None:
    result = @Class@().run(("/",), Context(deadline=time.monotonic() + 10))

    assert result.found
'''


def write_plugin(name: str, folder: Path) -> Path:
    """Writes a plugin's folder and returns it.

    Raises:
        PluginError: the name will not do, or the folder exists.
    """
    if not _NAME.fullmatch(name):
        raise PluginError(name, "a module's name is lower case letters, digits and _, at most 32 characters")
    if folder.exists():
        raise PluginError(name, f"{folder} exists already", next_step="choose another place with --folder")
    files = {
        "pyproject.toml": _PROJECT,
        "README.md": "# mig-plugin-@name@\n\nA module for MIG agents: `pip install mig-plugin-@name@`.\n",
        f"src/mig_{name}/__init__.py": _MODULE,
        f"src/mig_{name}/py.typed": "",
        f"tests/test_{name}_module.py": _TEST,
    }
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content.replace("@name@", name).replace("@Class@", _class_name(name)), encoding="utf-8")
    return folder


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) + "Module"
