"""What the two ways to mig-api have in common: :mod:`.direct`, and :mod:`.through_proxy` where there is a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConnectionFailed(Exception):
    """No answer, or only a part of one; the text says why."""


class Answer(Protocol):
    """An answer whose head is there; to be released or closed by who asked."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """Its head, by names in any case."""
        ...

    def read1(self, most: int, /) -> bytes:
        """The next piece of the body, as soon as there is one; empty: this was all.

        Raises:
            ConnectionFailed: the connection broke before the end.
        """
        ...

    def read(self, most: int, /) -> bytes:
        """At most so many bytes of the body. Raises as :meth:`read1`."""
        ...

    def release(self) -> None:
        """Gives the connection back, to be used again if the body was read to its end."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


class Way(Protocol):
    """Connections to one server. Thread-safe."""

    def open(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Answer:
        """Sends a request. ``GET`` is sent again when the connection broke before there was a head, others never.

        Args:
            timeout: seconds between two pieces of the answer.

        Raises:
            ConnectionFailed: there is no answer.
        """
        ...

    def connect(self) -> None:
        """Opens a connection ahead of the first request, where that is possible. Never fails: the request does."""
        ...

    def close(self) -> None:
        """Ends all connections that nobody uses."""
        ...
