"""The `ping` module: whether an endpoint reaches a destination.

``module`` is what the entry point names: it resolves the name, tries every address and says what came of it.
``declaration`` has parameters and columns, ``request`` what was asked, ``outcome`` what one try can end with, ``tcp``,
``udp`` and ``icmp`` make one try each, ``reach`` adds the tries at one address up, ``lines`` prints.
"""

from mig_ping.module import PingModule

__all__ = ["PingModule"]
