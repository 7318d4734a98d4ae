"""The way to the relay that the configuration names: enrol if need be, then make the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.relay.tls import TlsOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.agent.enrolment import Enroller
    from mig_core.config.agent import PlatformSettings
    from mig_core.domain.ids import AgentId
    from mig_core.relay.base import AgentRelay


def relay_kind(settings: PlatformSettings) -> str:
    """``amqp`` or ``https``, as an enrolment says it."""
    return "amqp" if settings.relay else "https"


def tls_options(settings: PlatformSettings) -> TlsOptions:
    """The connection's files."""
    return TlsOptions(settings.tls.ca_file, settings.tls.certificate_file, settings.tls.key_file)


class PlatformGate:
    """Opens the relay with the login that enrolment gives."""

    def __init__(
        self,
        settings: PlatformSettings,
        agent_id: AgentId,
        enroller: Enroller,
        *,
        prefetch: int,
        interrupt: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._agent_id = agent_id
        self._enroller = enroller
        self._prefetch = prefetch
        self._interrupt = interrupt

    def open(self, wait: Callable[[float], bool]) -> AgentRelay | None:
        """See :class:`mig_core.agent.service.Gate`."""
        token = self._enroller.saved_token() or self._enroller.enrol(wait)
        if not token:
            return None
        tls = tls_options(self._settings)
        # Only the driver in use is imported: the other's library would cost memory for nothing.
        if self._settings.relay:
            from mig_core.relay.amqp_agent import AmqpAgentRelay

            return AmqpAgentRelay(self._settings.relay, self._agent_id, token, tls=tls, prefetch=self._prefetch)
        from mig_core.relay.https_agent import HttpsAgentRelay

        return HttpsAgentRelay(
            self._settings.api, self._agent_id, token, tls=tls, proxy=self._settings.proxy, prefetch=self._prefetch
        )

    def denied(self) -> None:
        """See :class:`mig_core.agent.service.Gate`."""
        self._enroller.forget_token()

    def close(self) -> None:
        """See :class:`mig_core.agent.service.Gate`."""
        self._interrupt()
