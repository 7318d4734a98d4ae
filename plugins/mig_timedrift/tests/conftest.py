"""A small SNTP server, as honest as a test wants it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TO_1970 = 2_208_988_800


def timestamp(seconds: float) -> bytes:
    """An NTP timestamp; of its era, the low 32 bits."""
    whole = int(seconds // 1)
    return struct.pack("!II", (whole + TO_1970) & 0xFFFFFFFF, int((seconds - whole) * (1 << 32)))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A server's answer, and what is wrong with it."""

    ahead: float = 0.0
    leap: int = 0
    mode: int = 4
    stratum: int = 2
    reference: bytes = b"\1\2\3\4"
    root_delay: float = 0.001
    root_dispersion: float = 0.001
    held: float = 0.0
    """Seconds that it claims to have held the question."""
    origin: bytes = b""
    """Instead of the question's."""
    times: bool = True
    length: int = 48
    misses: int = 0
    """Questions that are lost at first."""

    def __call__(self, question: bytes, number: int) -> list[bytes]:
        if number < self.misses:
            return []
        now = time.time() + self.ahead
        packet = bytes([self.leap << 6 | 4 << 3 | self.mode, self.stratum, 4, 0xE8])
        packet += struct.pack("!II", int(self.root_delay * 65536), int(self.root_dispersion * 65536)) + self.reference
        packet += timestamp(now) + (self.origin or question[40:48])
        packet += timestamp(now) + timestamp(now + self.held) if self.times else bytes(16)
        return [packet[: self.length].ljust(self.length, b"\0")]


class SntpServer:
    """Answers on loopback until it is left."""

    def __init__(self, behave: Callable[[bytes, int], list[bytes]]) -> None:
        self._behave = behave
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.questions: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def name(self) -> str:
        """As the module takes it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> SntpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, whence = self._socket.recvfrom(2048)
            if not question:
                return
            self.questions.append(question)
            for packet in self._behave(question, len(self.questions) - 1):
                self._socket.sendto(packet, whence)


@pytest.fixture(scope="session")
def answer() -> type[Answer]:
    """Makes what a server does: its arguments say what is wrong with the answer."""
    return Answer


@pytest.fixture(scope="session")
def serving() -> Callable[..., contextlib.AbstractContextManager[list[SntpServer]]]:
    """Servers that behave in these ways."""

    @contextlib.contextmanager
    def serving(*behaviours: Callable[[bytes, int], list[bytes]]) -> Iterator[list[SntpServer]]:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(SntpServer(one)) for one in behaviours]

    return serving
