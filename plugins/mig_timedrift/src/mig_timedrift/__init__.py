"""The `timedrift` module: how wrong the clock of an endpoint is.

``module`` is what the entry point names: it puts the sources together; ``declaration`` has parameters and columns,
``reading`` is what any source says. The endpoint's own sources: ``kernel``, ``chrony``, ``ntpd``, ``timesyncd``.
Others: ``configured`` finds the servers that its service is told to use, ``asking`` asks servers, all at once, and
``packet`` understands what they answer. ``verdict`` judges, ``lines`` prints.
"""

from mig_timedrift.module import TimedriftModule

__all__ = ["TimedriftModule"]
