"""Prints the names of the plugins whose wheels are in a folder, one a line; called while the images are built."""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Writes the distributions' names to standard output."""
    names = {wheel.name.split("-")[0].replace("_", "-") for wheel in folder.glob("mig_plugin_*.whl")}
    sys.stdout.writelines(f"{name}\n" for name in sorted(names))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
