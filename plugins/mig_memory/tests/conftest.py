"""Real processes to look at, and a search of their memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.testing.targets import start_target
from mig_memory import MemoryModule

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult

__all__ = ["start_target"]


@pytest.fixture
def search() -> Callable[..., ModuleResult]:
    """Runs one search with ``matchall`` unless told otherwise."""
    module = MemoryModule()

    def run(*, threads: int = 1, seconds: float = 60, **keys: Any) -> ModuleResult:
        options = {"matchall": True} | keys.pop("options", {})
        parameters = module.parse_parameters({"searches": {"s": keys | {"options": options}}})
        return module.run(parameters, Context(deadline=time.monotonic() + seconds, threads=threads))

    return run
