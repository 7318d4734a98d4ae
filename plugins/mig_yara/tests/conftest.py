"""Questions to files and processes of this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.testing.targets import start_target
from mig_yara import YaraModule

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult

__all__ = ["start_target"]


class Ask(Protocol):
    """The fixture's type."""

    def __call__(self, rules: str, *, seconds: float = 60, **keys: Any) -> ModuleResult: ...


@pytest.fixture
def ask() -> Ask:
    """Asks about files or processes."""
    module = YaraModule()

    def run(rules: str, *, seconds: float = 60, **keys: Any) -> ModuleResult:
        parameters = module.parse_parameters({"rules": [rules], **keys})
        return module.run(parameters, Context(deadline=time.monotonic() + seconds))

    return run


def rows(result: ModuleResult) -> list[dict[str, Any]]:
    """The rows of an answer."""
    return list(YaraModule().rows(result))


def skipped(result: ModuleResult) -> set[str]:
    """Why something was left out."""
    return {one.reason for one in result.coverage.skipped}
