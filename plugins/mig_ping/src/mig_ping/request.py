"""What was asked, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.errors import ParameterError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.plugin.parameters import Values

ICMP, TCP, UDP = "icmp", "tcp", "udp"
DEFAULT_COUNT = 3
DEFAULT_TIMEOUT = 5


@dataclass(frozen=True, slots=True)
class Request:
    """Which destination, how and how often."""

    destination: str
    protocol: str
    port: int
    """0 for ICMP."""
    count: int
    timeout: int
    """Seconds that one try may take."""

    @property
    def has_port(self) -> bool:
        """Whether the protocol has ports."""
        return self.protocol != ICMP


def read_request(values: Values) -> Request:
    """The request in the parsed parameters. A 0 means the default, as in the original.

    Raises:
        ParameterError: names the JSON path of the fault.
    """
    protocol, port = values.text("protocol"), values.integer("dp")
    if protocol != ICMP and port < 1:
        raise ParameterError(
            "destinationport", f"must be from 1 to 65535 for {protocol}", next_step="say which with -dp"
        )
    return Request(
        values.text("d"),
        protocol,
        0 if protocol == ICMP else port,
        values.integer("c") or DEFAULT_COUNT,
        values.integer("timeout") or DEFAULT_TIMEOUT,
    )
