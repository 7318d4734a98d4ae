"""What the agent's environment says of the kernel, so that targets can name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.plugin.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLD = ("randomize_va_space", "kptr_restrict")


class Facts:
    """Called at start and at every refresh."""

    @hookimpl
    def mig_agent_environment(self, environment: Mapping[str, Any]) -> Mapping[str, Any]:
        """The hardening switches below ``kernel``; what cannot be read is left out."""
        found = {}
        for name in TOLD:
            try:
                with open(f"/proc/sys/kernel/{name}", encoding="ascii") as file:
                    found[name] = file.read().strip()
            except OSError:
                continue
        return {"sysctl": found}
