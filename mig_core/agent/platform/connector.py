"""The way to the relay that the configuration names: enrol if need be, then make the driver."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError, RelayUnavailable
from mig_core.relay.tls import TlsOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.agent.platform.enrolment import Enroller
    from mig_core.agent.platform.given import Given
    from mig_core.config.agent import PlatformSettings
    from mig_core.domain.ids import AgentId
    from mig_core.relay.base import AgentRelay
    from mig_core.relay.https_transport import HttpsTransport


def relay_kind(settings: PlatformSettings) -> str:
    """``amqp`` or ``https``, as an enrolment says it."""
    return "amqp" if settings.relay else "https"


def tls_options(settings: PlatformSettings) -> TlsOptions:
    """The connection's files."""
    return TlsOptions(settings.tls.ca_file, settings.tls.certificate_file, settings.tls.key_file)


def look_at_ways(settings: PlatformSettings) -> None:
    """Returns when API and relay could be tried with these settings; nothing is connected to.

    Raises:
        ConfigurationError: address, proxy or a TLS file cannot be used.
    """
    if not settings.api:
        raise ConfigurationError("agent.toml", "platform.api", "is missing", next_step='like "https://mig.example.net"')
    from mig_core.relay.https_transport import HttpsTransport

    tls = tls_options(settings)
    tls.context()
    HttpsTransport(settings.api, "", tls=tls, proxy=settings.proxy).close()
    if settings.relay:
        from mig_core.relay.amqp_broker import Broker

        Broker.from_url(settings.relay, tls=tls)


class ApiTransport:
    """HTTP to the API, made when it is first used: an agent on the amqp relay that has its login never needs it."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._transport: HttpsTransport | None = None
        self._closed = False

    def exchange(
        self, method: str, path: str, *, body: bytes | None, seconds: float, largest: int
    ) -> tuple[int, bytes]:
        """See :class:`mig_core.agent.platform.enrolment.Transport`."""
        with self._lock:
            if self._closed:
                raise RelayUnavailable("the agent stops")
            if self._transport is None:
                from mig_core.relay.https_transport import HttpsTransport

                self._transport = HttpsTransport(
                    self._settings.api, "", tls=tls_options(self._settings), proxy=self._settings.proxy
                )
            transport = self._transport
        return transport.exchange(method, path, body=body, seconds=seconds, largest=largest)

    def close(self) -> None:
        """Ends an exchange under way; there will be no other."""
        with self._lock:
            self._closed = True
            if self._transport is not None:
                self._transport.close()


class PlatformConnector:
    """Opens the relay with the login that enrolment gives."""

    def __init__(
        self,
        settings: PlatformSettings,
        agent_id: AgentId,
        enroller: Enroller,
        *,
        given: Given,
        prefetch: int,
        interrupt: Callable[[], None],
    ) -> None:
        self._given = given
        self._settings = settings
        self._agent_id = agent_id
        self._enroller = enroller
        self._prefetch = prefetch
        self._interrupt = interrupt

    def open(self, wait: Callable[[float], bool]) -> AgentRelay | None:
        """See :class:`mig_core.agent.service.Connector`."""
        token = self._enroller.saved_token() or self._enroller.enrol(wait)
        if not token:
            return None
        tls = tls_options(self._settings)
        # Only the driver in use is imported: the other's library would cost memory for nothing.
        broker = self._settings.relay or self._given.gift().relay
        if broker:
            from mig_core.relay.amqp_agent import AmqpAgentRelay

            return AmqpAgentRelay(broker, self._agent_id, token, tls=tls, prefetch=self._prefetch)
        from mig_core.relay.https_agent import HttpsAgentRelay

        return HttpsAgentRelay(
            self._settings.api, self._agent_id, token, tls=tls, proxy=self._settings.proxy, prefetch=self._prefetch
        )

    def denied(self) -> None:
        """See :class:`mig_core.agent.service.Connector`."""
        self._enroller.forget_token()

    def close(self) -> None:
        """See :class:`mig_core.agent.service.Connector`."""
        self._interrupt()
