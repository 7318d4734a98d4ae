"""The state of one ``mig web``: all of it in memory, gone with the process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from mig_web.following import Followings

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.client.client import MigClient
    from mig_core.client.connection import Connection
    from mig_core.domain.envelope import Envelope
    from mig_core.plugin.module import Module
    from mig_web.question import Ready

MOST_READY = 50
"""Questions that wait for a signature; the oldest gives way."""
MOST_CALLS = 64
"""Calls of the platform at the same time; the others wait for their turn."""
P = ParamSpec("P")
T = TypeVar("T")


class Site:
    """One investigator at one platform, for the pages."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stopping = False
        """Set when the server ends: streams end too."""
        self.ready: dict[str, Ready] = {}
        """Questions that wait for a signature, by an id of this process, the oldest first."""
        self.followings = Followings(lambda: self.client)
        self._calls = asyncio.Semaphore(MOST_CALLS)
        self.signing = threading.Lock()
        """Held while something is signed: GnuPG may ask a person, one thing at a time."""

    def close(self) -> None:
        """Ends all connections to the platform."""
        self.connection.client.close()

    def stop(self) -> None:
        """Called on the event loop when the server begins to end."""
        self.stopping = True
        self.followings.stop()

    @property
    def client(self) -> MigClient:
        """The platform. Its methods wait: call them by :meth:`call`, or in a thread of your own."""
        return self.connection.client

    def keep(self, ready: Ready) -> str:
        """Keeps a question that is ready to be signed; returns its id."""
        while len(self.ready) >= MOST_READY:
            del self.ready[next(iter(self.ready))]
        name = secrets.token_hex(8)
        self.ready[name] = ready
        return name

    async def call(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What waits for the platform, in a thread of its own: one that hangs holds up neither others nor the end."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: BaseException | None) -> None:
            if outcome.cancelled():
                return
            if error is None:
                outcome.set_result(cast("T", value))
            else:
                outcome.set_exception(error)

        def run() -> None:
            value, failed = None, None
            try:
                value = work(*arguments, **named)
            except Exception as error:
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(settle, value, failed)

        async with self._calls:
            threading.Thread(target=run, name="platform", daemon=True).start()
            return await outcome

    def sign(self, envelope: Envelope) -> Envelope:
        """Signs. Waits for whatever else is being signed.

        Raises:
            SignatureInvalid: the key cannot sign.
        """
        with self.signing:
            return self.connection.signer.sign(envelope)

    @cached_property
    def modules(self) -> dict[str, Module[Any]]:
        """The modules installed here, by name. The first look imports them: do it in a thread."""
        from mig_core.plugin.manager import PluginManager

        manager = PluginManager()
        return {name: manager.module(name) for name in manager.names()}

    def target(self, text: str) -> str:
        """A target as it is signed, macros written out; empty: the settings' own.

        Raises:
            TargetError: it cannot be read; names the position.
        """
        from mig_core.domain.target import parse_target

        settings = self.connection.settings
        return parse_target(text.strip() or settings.target, macros=settings.macros).expanded
