"""Real processes to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint.processes.proc import Proc
from mig_endpoint.testing.targets import start_target

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["start_target"]


@pytest.fixture
def tally() -> Tally:
    """What was not looked at."""
    return Tally()


@pytest.fixture
def proc(tally: Tally) -> Iterator[Proc]:
    """An open /proc."""
    with Proc(tally) as opened:
        yield opened
