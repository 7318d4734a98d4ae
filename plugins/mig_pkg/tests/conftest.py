"""Fixtures of the pkg tests: asking the module, and endpoints made of files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_pkg import PkgModule

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult


@dataclass
class Said:
    """An answer, in pieces that tests compare."""

    result: ModuleResult

    @property
    def rows(self) -> list[dict[str, Any]]:
        elements: Any = self.result.elements
        found: list[dict[str, Any]] = elements["packages"]
        return found

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in self.rows]

    @property
    def reasons(self) -> dict[str, int]:
        return {one.reason: one.count for one in self.result.coverage.skipped}

    @property
    def complete(self) -> bool:
        return self.result.coverage.complete


@pytest.fixture(scope="session")
def ask() -> Callable[..., Said]:
    """Asks for names; ``version`` and further keys of the parameters by keyword, ``seconds`` until the deadline."""

    def ask(*names: str, version: str = "", seconds: float = 30, **others: Any) -> Said:
        module = PkgModule()
        raw = {"pkgmatch": {"matches": list(names)}, "vermatch": version, **others}
        return Said(module.run(module.parse_parameters(raw), Context(deadline=time.monotonic() + seconds)))

    return ask


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Writes a file below the test's directory, which serves as the root of an endpoint."""

    def write(path: str, content: str | bytes, *, mode: int = 0o644) -> pathlib.Path:
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    return write
