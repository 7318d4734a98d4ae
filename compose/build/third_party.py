"""Prints what core and plugins need from elsewhere, one requirement a line; called while the images are built.

Read from the project files themselves, so that nothing has to be kept in step by hand. Its output is all that the layer
with the third-party wheels depends on: changing our own code never builds that layer again.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

EXTRAS = ("server", "cli", "embedded")


def main(root: Path) -> None:
    """Writes the requirements of all projects below ``root`` to standard output."""
    needed = {"pip", "hatchling>=1.26"}
    for path in (root / "pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        needed.update(project.get("dependencies", ()))
        for extra in EXTRAS:
            needed.update(project.get("optional-dependencies", {}).get(extra, ()))
    sys.stdout.writelines(f"{one}\n" for one in sorted(needed) if not one.startswith("mig-"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
