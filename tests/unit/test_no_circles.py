"""No two files of ours need each other, not even for types: each can be read after what it is built on."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "mig_core", *sorted(path for path in ROOT.glob("plugins/*/src/*") if path.is_dir())]


def modules(package: Path) -> dict[str, Path]:
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & known.keys() or {node.module}
    return found & known.keys()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_file_is_built_on_one_that_is_built_on_it(package: Path) -> None:
    known = modules(package)
    graph = {name: imports(path, known) - {name} for name, path in known.items()}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))

    assert sum(map(len, graph.values()))
