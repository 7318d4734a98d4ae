"""One socket, as every source gives it, and the words for states. Source: ``include/net/tcp_states.h`` (Linux 6.18)."""

from __future__ import annotations

from mig_core.records import dataclass, field

STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",
    13: "BOUND",
}
CLOSE, LISTEN = 7, 10
UNIX_KINDS = {1: "unix_stream", 2: "unix_dgram", 5: "unix_seqpacket"}
"""What a unix socket's type is called (``linux/net.h``)."""
DEFAULT = "default"
"""What the agent's own network namespace is called in answers, as the original did."""
BOUND = "BOUND"
CONNECTED = ("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK", "CLOSING")
"""States in which somebody is, or was just, at the other end; not TIME_WAIT."""


@dataclass(slots=True)
class SocketRecord:
    """A socket. What there is none of is empty; what is not known is None."""

    protocol: str
    state: str = ""
    local: str | None = ""
    local_port: int | None = -1
    """-1 where there are no ports."""
    remote: str = ""
    remote_port: int = -1
    inode: int = 0
    """0 for those that no process holds any more, or not yet (TIME_WAIT, SYN_RECV)."""
    uid: int | None = None
    interface: int = 0
    interface_name: str = ""
    """In the socket's own namespace; empty where that cannot be asked."""
    dual_stack: bool | None = False
    """A listener on ``::`` that takes IPv4 connections as well; None where /proc/net lists it, which does not say."""
    receive_queue: int = 0
    send_queue: int = 0
    timer: float = -1.0
    """Seconds until the timer that runs; -1 for none."""
    path: str = ""
    """Of a unix socket: as it was bound, in the binder's mount namespace; ``@`` in front for an abstract name."""
    peer: int = 0
    """Of a unix socket: the inode at the other end."""
    sent: int = -1
    """Bytes that the other end has acknowledged; -1 where nobody counts."""
    received: int = -1
    namespace: str = ""
    holders: list[str] = field(default_factory=list)
