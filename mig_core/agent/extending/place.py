"""Where added plugins lie: ``PREFIX/plugins/current``, a link to one of two folders, with an index of what was added.

A change is made in the folder that is not in use, whole, and then the link is exchanged: whoever looks sees all of the
old or all of the new. A ``.pth`` file among the environment's own distributions has Python look there, *after* them, so
nothing that is added can take the place of what the agent came with.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INDEX = "mig-plugins.json"
PATH_FILE = "mig-plugins.pth"


@dataclass(frozen=True, slots=True)
class Added:
    """A distribution that was added.

    Attributes:
        name: Its name, as pip writes it.
        version: Its version.
        sha256: Of the file that it came in.
        asked: What was typed that brought it.
        time: When, RFC 3339.
        python: For which Python, like ``3.11``: after an upgrade to another it has to be added again.
        for_itself: Whether it was asked for, and not brought by another.
    """

    name: str
    version: str
    sha256: str
    asked: str
    time: str
    python: str
    for_itself: bool


class Place:
    """The place of one environment.

    Args:
        prefix: the environment.
        site: the folder of its own distributions.
    """

    def __init__(self, prefix: Path, site: Path) -> None:
        self.prefix = prefix
        self.site = site
        self.root = prefix / "plugins"
        self.current = self.root / "current"

    @classmethod
    def of_this_environment(cls) -> Place:
        """The running agent's.

        Raises:
            ConfigurationError: the agent has no environment of its own.
        """
        if sys.prefix == sys.base_prefix:
            raise ConfigurationError(
                sys.prefix,
                "",
                "this mig-agent is part of the system's Python, which has no place for plugins of its own",
                next_step="install mig-agent from its package or into a virtual environment",
            )
        return cls(Path(sys.prefix), Path(sysconfig.get_path("purelib")))

    def index(self) -> Sequence[Added]:
        """What was added, by name.

        Raises:
            ConfigurationError: the index cannot be read.
        """
        path = self.current / INDEX
        try:
            rows = json.loads(path.read_bytes())["added"]
            return sorted((Added(**row) for row in rows), key=lambda one: one.name)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            step = f"remove {self.root}, then add the plugins again"
            raise ConfigurationError(str(path), "", f"is no index of plugins: {error}", next_step=step) from error

    @contextmanager
    def changed(self) -> Iterator[Path]:
        """A folder to be filled that becomes the place when the block ends without an error and has written an index.

        Raises:
            ConfigurationError: it cannot be written, or another change is being made.
        """
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            with (self.root / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fresh = self._unused()
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir(mode=0o755)
                yield fresh
                if (fresh / INDEX).exists():
                    self._exchange(fresh)
        except BlockingIOError as error:
            step = "wait for it"
            raise ConfigurationError(
                str(self.root), "", "plugins are being changed just now", next_step=step
            ) from error
        except OSError as error:
            step = "run it as the owner of that folder, usually root"
            raise ConfigurationError(
                str(self.root), "", f"cannot be changed: {error.strerror}", next_step=step
            ) from error

    def write_index(self, folder: Path, rows: Sequence[Added]) -> None:
        """Puts the index into a folder that is to become the place."""
        document = {"added": [asdict(row) for row in rows]}
        (folder / INDEX).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _unused(self) -> Path:
        used = os.readlink(self.current) if self.current.is_symlink() else ""
        return self.root / ("b" if used == "a" else "a")

    def _exchange(self, fresh: Path) -> None:
        old = os.readlink(self.current) if self.current.is_symlink() else ""
        for folder, _, files in os.walk(fresh):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    os.fsync(file.fileno())
        link = self.root / "next"
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        link.replace(self.current)
        path_file = self.site / PATH_FILE
        if not path_file.exists():
            path_file.write_text(f"{self.current}\n", encoding="utf-8")
        # A running agent watches the folders it looks for plugins in; ours may be new among them.
        os.utime(self.site)
        if old:
            shutil.rmtree(self.root / old, ignore_errors=True)
