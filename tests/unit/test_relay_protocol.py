"""The relay's own way through HTTP, on a transport of memory: what a peer that does not read may cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.server import ServerState

from mig_core.api.clients import TrustedProxies
from mig_core.api.connections import ConnectionLimits, Connections
from mig_core.api.intake import Intake
from mig_core.api.metrics import Metrics
from mig_core.api.relay_protocol import RelayHttpProtocol

if TYPE_CHECKING:
    from mig_core.api.relay_hub import RelayHub
    from mig_core.domain.messages import Backlog

NONSENSE = (
    b"POST /api/v1/relay/exchange HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 32 + b":wrong\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nx"
)
"""From nobody who is known; answered at once with a 400."""


class MemoryTransport(asyncio.Transport):
    """Takes what is written, and says what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return False


async def nothing_waits() -> Backlog:
    raise AssertionError("nobody has to ask")


def connected() -> tuple[RelayHttpProtocol, MemoryTransport]:
    async def application(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("not for the application")

    config = uvicorn.Config(
        cast("Any", application), interface="asgi3", http=RelayHttpProtocol, lifespan="off", log_config=None, ws="none"
    )
    config.load()
    connections = Connections(ConnectionLimits.of_descriptors(1024), TrustedProxies([]))
    connection = connections.opened("192.0.2.1", lambda: None)
    assert connection is not None
    hub = cast("RelayHub", None)
    protocol = RelayHttpProtocol(connection, config, ServerState(), {}, hub, Metrics(), Intake(nothing_waits))
    transport = MemoryTransport()
    protocol.connection_made(transport)
    return protocol, transport


def test_whoever_does_not_read_its_answers_is_not_read_either_until_it_does() -> None:
    async def work() -> None:
        protocol, transport = connected()

        protocol.data_received(NONSENSE)
        read_at_first = transport.reads
        protocol.pause_writing()  # what the transport says once too much waits in it
        protocol.data_received(NONSENSE)
        read_when_full = transport.reads
        protocol.resume_writing()

        assert (read_at_first, read_when_full, transport.reads) == (True, False, True)
        assert transport.written.count(b"HTTP/1.1 400") == 2

    asyncio.run(work())
