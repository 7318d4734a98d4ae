"""The module ``sysctl``: the kernel's parameters and their values.

``module`` is what the entry point names; ``facts`` tells the agent's environment some of them.
"""

from mig_sysctl.module import SysctlModule

__all__ = ["SysctlModule"]
