"""For modules that declare ``needs_network``: when to try again, and how to end what waits on a socket.

A module's own connections follow the rules of the agent's: pauses that double and differ between endpoints, and an end
that another thread can bring about.
"""

from mig_core.network.backoff import Backoff
from mig_core.network.connections import observe_connections, shut_down

__all__ = ["Backoff", "observe_connections", "shut_down"]
