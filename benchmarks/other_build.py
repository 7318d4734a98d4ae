"""Another commit of this project, built beside the work tree: a git worktree with a virtual environment of its own.

So an old and a new build are measured in turn in one run, and their ratio stands whatever the machine does.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Build:
    """One build that can be run."""

    name: str
    tree: Path
    """Its sources; programs that come with them (``python -m benchmarks…``) are run from here."""
    programs: Path
    """The ``bin`` of its environment."""


def this_build() -> Build:
    """The work tree as it is, in the environment that runs this."""
    return Build("this", ROOT, Path(sys.executable).parent)


@contextmanager
def built(commit: str, *, extras: str = "", keep: Path | None = None) -> Iterator[Build]:
    """The build of a commit, for as long as it is needed.

    Args:
        commit: as git names it.
        extras: of the distribution ``mig-core``, like ``[server,cli]``.
        keep: a folder in which it stays, and is found again; none: removed at the end.
    """
    if keep is not None:
        build = _build_of(commit, keep.absolute())
        if not (build.programs / "mig-agent").exists():
            _make(commit, build, extras)
        yield build
        return
    with tempfile.TemporaryDirectory(prefix="mig-build-") as folder:
        build = _build_of(commit, Path(folder))
        try:
            _make(commit, build, extras)
            yield build
        finally:
            run_words(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(build.tree)])


def run_words(words: list[str]) -> None:
    """Runs a program; what went wrong ends the benchmark."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(words)}: {done.stderr.strip()[-500:]}")


def _build_of(commit: str, folder: Path) -> Build:
    return Build(commit, folder / "tree", folder / "venv" / "bin")


def _make(commit: str, build: Build, extras: str) -> None:
    build.tree.parent.mkdir(parents=True, exist_ok=True)
    if not build.tree.exists():
        run_words(["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(build.tree), commit])
    run_words([sys.executable, "-m", "venv", str(build.programs.parent)])
    projects = sorted(path.parent for path in (build.tree / "plugins").glob("*/pyproject.toml"))
    words = [f"{build.tree}{extras}", *map(str, projects)]
    run_words([str(build.programs / "pip"), "install", "--quiet", *words])
