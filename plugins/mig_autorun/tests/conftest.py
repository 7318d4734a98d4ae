"""A system below a folder, to be looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_autorun import AutorunModule
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

Row = dict[str, Any]

PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bob:x:1000:1000::/home/bob:/bin/bash
noshell:x:1001:1001::/home/noshell:/usr/sbin/nologin
expired:x:1002:1002::/home/expired:/bin/bash
noshadow:x:1003:1003::/home/noshadow:/bin/bash
"""
SHADOW = """root:*:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
bob:!:19000:0:99999:7:::
noshell:!:19000:0:99999:7:::
expired:*:19000:0:99999:7::1:
"""


class Root:
    """A file system that is filled by a test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("/etc/passwd", PASSWD)
        self.write("/etc/shadow", SHADOW)
        self.write("/var/lib/dpkg/info/base-files.list", "/.\n/etc\n")
        for home in ("/root", "/home/bob"):
            (path / home[1:]).mkdir(parents=True)

    def write(self, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """A file with its folders."""
        path = self.path / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
        path.chmod(mode)
        return path

    def link(self, name: str, target: str) -> Path:
        """A link with its folders."""
        path = self.path / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def program(self, name: str) -> Path:
        """An executable file."""
        return self.write(name, "#!/bin/sh\n", 0o755)

    def ask(self, **parameters: Any) -> ModuleResult:
        """The answer of the module below this root."""
        module = AutorunModule()
        asked = module.parse_parameters({"root": str(self.path), **parameters})
        return module.run(asked, Context(deadline=time.monotonic() + 30))

    def rows(self, kind: str = "", **parameters: Any) -> list[Row]:
        """Its rows, perhaps of one kind."""
        if kind:
            parameters["kind"] = [f"^{kind}$"]
        result = self.ask(**parameters)
        assert result.success, result.errors
        return list(AutorunModule().rows(result))

    def named(self, kind: str = "", *, by: str = "name", **parameters: Any) -> dict[str, Row]:
        """The rows by a cell of theirs."""
        return {str(row.get(by)): row for row in self.rows(kind, **parameters)}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """An almost empty system."""
    return Root(tmp_path / "r")
