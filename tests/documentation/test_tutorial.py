"""The tutorial for plugin authors is walked through: each change is made, each command run, each line compared.

At the end the plugin that has grown is the one in ``docs/examples``, whose own tests have run.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from mig_core.domain.target import parse_target

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "tutorial-plugin.md").read_text(encoding="utf-8")
FINISHED = DOCS / "examples" / "mig_sysctl"
_BLOCK = re.compile(r"^```(python|toml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`((?:src|tests)/[\w/]+\.py)`")
_ANY = "…"
Statement = Any


class Walk:
    """The reader's folder: what is typed there, and what it prints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin = folder / "mig_sysctl"
        self._site = folder / "site"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self._site),
            "HOME": str(folder),
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def type(self, command: str) -> str:
        """Runs a command of the page; returns what it prints on both streams."""
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            return self._install()
        if words[0] == "mig":
            words[:1] = [sys.executable, "-c", "import sys; from mig_core.cli.main import main; sys.exit(main())"]
        elif words[0] == "pytest":
            words[:1] = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={self.folder / 'base'}"]
        elif words[:3] == ["python", "-m", "build"]:
            words[:3] = [sys.executable, "-m", "build", "--no-isolation"]
        ran = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return re.sub(rf"\b{re.escape(socket.gethostname())}\b", "web1", ran.stdout)

    def _install(self) -> str:
        """As ``pip install -e``: metadata as they are now, code as it will be."""
        shutil.rmtree(self._site, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        ran = subprocess.run(
            [*pip, "--no-build-isolation", "--target", str(self._site), str(self.plugin)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        shutil.rmtree(self._site / "mig_sysctl")
        (self._site / "mig_sysctl").symlink_to(self.plugin / "src" / "mig_sysctl")
        return ""


def matches(documented: str, printed: str) -> bool:
    """Whether the lines are those of the page, where an ellipsis is any text, and one alone any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == _ANY else re.escape(line).replace(re.escape(_ANY), ".*?") + r" *\n"
        for line in documented.splitlines()
    )
    return re.fullmatch(pattern, printed) is not None


def key_of(statement: Statement) -> str:
    """What a statement defines; statements that define the same replace one another."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return statement.name
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0])
    return ast.unparse(statement)


def changed(source: str, change: str) -> str:
    """A file after a block of the page: definitions replace those of their name, others are added in their place."""
    whole, part = ast.parse(source), ast.parse(change)
    _merge(whole.body, part.body)
    return ast.unparse(ast.fix_missing_locations(whole))


def _merge(body: list[Statement], added: list[Statement]) -> None:
    for statement in added:
        if ast.unparse(statement) == "...":
            continue  # as before
        same = next((place for place, one in enumerate(body) if _same(one, statement)), None)
        if same is None:
            body.insert(_place(body, statement), statement)
        elif isinstance(statement, ast.ClassDef | ast.If):
            _merge(body[same].body, statement.body)
        else:
            body[same] = statement


def _same(one: Statement, other: Statement) -> bool:
    if isinstance(one, ast.If) and isinstance(other, ast.If):
        return ast.unparse(one.test) == ast.unparse(other.test)
    return type(one) is type(other) and key_of(one) == key_of(other)


def _place(body: list[Statement], statement: Statement) -> int:
    """Imports behind imports, assignments behind assignments (or before what is defined), definitions at the end."""
    kinds = (ast.Import, ast.ImportFrom) if isinstance(statement, ast.Import | ast.ImportFrom) else (ast.Assign,)
    if isinstance(statement, ast.FunctionDef):
        private = (place for place, one in enumerate(body) if key_of(one).startswith("_"))
        return next(private, len(body))
    before = [place for place, one in enumerate(body) if isinstance(one, kinds)]
    return before[-1] + 1 if before else 0


def shape(source: str) -> list[str]:
    """A file's statements, its imports sorted, without comments and layout."""
    tree = ast.parse(source)
    for one in ast.walk(tree):
        if isinstance(one, ast.Module | ast.If):
            imports = [line for line in one.body if isinstance(line, ast.Import | ast.ImportFrom)]
            rest = [line for line in one.body if line not in imports]
            one.body = [*sorted(imports, key=ast.unparse), *rest]
    return [ast.unparse(one) for one in tree.body]


def test_the_tutorial_is_walked_through(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    at = 0

    for block in _BLOCK.finditer(PAGE):
        before, at = PAGE[at : block.start()], block.end()
        language, text = block.groups()
        if language == "python":
            named = _FILE.findall(before)
            file = walk.plugin / (named[-1] if named else "src/mig_sysctl/module.py")
            whole = text.startswith('"""')
            assert bool(named) is whole, text
            file.write_text(text if whole else changed(file.read_text(encoding="utf-8"), text), encoding="utf-8")
        elif language == "toml":
            project = walk.plugin / "pyproject.toml"
            project.write_text(project.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")
        else:
            for command, documented in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                printed = walk.type(command)
                assert matches(documented, printed), f"$ {command}\n{printed}\nthe page has:\n{documented}"

    for name in ("src/mig_sysctl/module.py", "src/mig_sysctl/facts.py", "tests/test_sysctl_module.py"):
        grown, finished = ((place / name).read_text(encoding="utf-8") for place in (walk.plugin, FINISHED))
        assert shape(grown) == shape(finished), name
    projects = [tomllib.loads((place / "pyproject.toml").read_text("utf-8")) for place in (walk.plugin, FINISHED)]
    assert projects[0]["project"]["entry-points"] == projects[1]["project"]["entry-points"]


def test_the_targets_of_the_tutorial_are_targets() -> None:
    targets = re.findall(r"-t \"([^\"]+)\"", PAGE)

    assert targets
    for target in targets:
        parse_target(target)
