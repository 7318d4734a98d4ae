"""One operation, run as the agent does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.agent.operations.executor import Interruption

if TYPE_CHECKING:
    from mig_core.agent.operations.executor import Executor, Outcome


def run(
    executor: Executor, module: str, *, limit: float = 60.0, interruption: Interruption | None = None, **parameters: Any
) -> Outcome:
    """What came of it.

    Args:
        limit: seconds for the module.
    """
    return executor.run(
        module,
        parameters,
        seconds=limit,
        interruption=interruption or Interruption(),
        environment={"os": "linux"},
        tags={"team": "blue"},
    )
