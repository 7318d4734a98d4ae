"""Prints the names of the plugins whose wheels are in a folder, one a line; called while the images are built.

``--modules``: only those with modules, for agents; commands for investigators need libraries that no agent has.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def main(folder: Path, *, only_modules: bool) -> None:
    """Writes the distributions' names to standard output."""
    wheels = [one for one in folder.glob("mig_plugin_*.whl") if not only_modules or has_modules(one)]
    names = {wheel.name.split("-")[0].replace("_", "-") for wheel in wheels}
    sys.stdout.writelines(f"{name}\n" for name in sorted(names))


def has_modules(wheel: Path) -> bool:
    """Whether a wheel registers anything that agents load."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        text = b"".join(map(archive.read, names))
    return b"[mig.modules]" in text or b"[mig.agent]" in text


if __name__ == "__main__":
    main(Path(sys.argv[1]), only_modules="--modules" in sys.argv[2:])
