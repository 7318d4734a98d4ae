"""A system's files below a directory, for tests: a module looks at them with ``root``, a program of the system as if
they were its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.plugin.module import Context
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.table import TableModule


DEBIAN_ROOTS = tuple(filter(None, os.environ.get("MIG_DEBIAN_ROOTS", "").split(":")))
"""Systems that debootstrap made, to be named by whoever runs the tests: making one takes a minute or two, which CI does
not have. With systemd, cron, sudo and openssh-server in them there is most to be seen."""


class System:
    """Files below ``root``; made as they are written."""

    def __init__(self, root: Path, module: TableModule) -> None:
        self.root = root
        self.module = module

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Writes a file of the system, directories included."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def ask(self, **keys: Any) -> ModuleResult:
        """What the module answers about it."""
        parameters = self.module.parse_parameters({"root": str(self.root), **keys})
        return self.module.run(parameters, Context(deadline=time.monotonic() + 60))

    def rows(self, **keys: Any) -> list[dict[str, Any]]:
        """The rows of that answer."""
        return list(self.module.rows(self.ask(**keys)))

    def within(self, *words: str, status: int | None = 0) -> str:
        """What a program prints that finds this system's files in place of those of the machine.

        Each directory directly below ``/etc`` that the system has, and each other file of ``/etc`` and ``/var``, is
        mounted over the one at its path, in a mount namespace of the program's own: the machine's files stay as they
        are, and so do its programs.

        Args:
            words: program and arguments.
            status: what it must end with; None for anything.
        """
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            service_missing("mounting files over those of the system needs root and unshare (util-linux)")
        script = [f"mount --bind {shlex.quote(str(one))} {shlex.quote(target)}" for one, target in self._mounted()]
        command = " && ".join((*script, f"exec {shlex.join(words)}"))
        run = subprocess.run(
            ["unshare", "--mount", "sh", "-c", command],
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        assert status is None or run.returncode == status, (run.returncode, run.stdout, run.stderr)
        return run.stdout.decode("utf-8", "surrogateescape")

    def _mounted(self) -> list[tuple[Path, str]]:
        """What is mounted where."""
        folders = [one for one in (self.root / "etc").glob("*") if one.is_dir()]
        places = (one for top in ("etc", "var") for one in sorted((self.root / top).rglob("*")))
        files = [one for one in places if one.is_file() and not set(folders) & set(one.parents)]
        found = [(place, f"/{place.relative_to(self.root)}") for place in (*folders, *files)]
        return [(place, target) for place, target in found if Path(target).exists()]
