"""What is written to RabbitMQ at one moment leaves in one piece, and in its order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mig_core.relay.amqp_frames import GatheringConnection


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def written(*turns: list[bytes], goes: bool = False) -> list[bytes]:
    """What the kernel is handed when these frames are written, turn by turn; ``goes``: the connection ends before."""

    async def scenario() -> list[bytes]:
        loop, transport = asyncio.get_running_loop(), Transport()
        connection = cast("Any", GatheringConnection(custom_ioloop=loop, internal_connection_workflow=False))
        connection._transport = transport
        for frames in turns:
            for frame in frames:
                connection._adapter_emit_data(frame)
            if goes:
                connection._transport = None
            await asyncio.sleep(0)
        return transport.written

    return asyncio.run(scenario())


def test_frames_of_one_turn_leave_together() -> None:
    assert written([b"a", b"b", b"c"], [b"d"]) == [b"abc", b"d"]


def test_large_ones_wait_for_nothing() -> None:
    large = b"x" * (64 << 10)

    assert written([b"a", large, b"b"]) == [b"a" + large, b"b"]


def test_what_is_written_when_the_connection_ends_goes_nowhere() -> None:
    assert written([b"a"], goes=True) == []
