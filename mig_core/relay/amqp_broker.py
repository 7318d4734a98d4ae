"""Where RabbitMQ is and who we are there; below what connects to it and what names it in errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mig_core.errors import ConfigurationError
from mig_core.relay.tls import TlsOptions
from mig_core.relay.topology import VIRTUAL_HOST

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are there."""

    host: str
    port: int
    virtual_host: str
    login: str
    password: str = field(repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)
    heartbeat: int = 20
    """Seconds between signs of life. pika takes the other side for dead after one to two times this plus five."""

    @classmethod
    def from_url(cls, url: str, *, tls: TlsOptions | None = None, login: tuple[str, str] | None = None) -> Broker:
        """A broker from ``amqp[s]://[login:password@]host[:port][/virtual-host]``; ``login`` goes before the URL's.

        Raises:
            ConfigurationError: it is not such a URL, or a TLS file cannot be used. Passwords are not repeated.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname or not port or parts.query or parts.fragment:
            raise ConfigurationError(
                "", "relay", "must be like amqps://broker:5671/mig", next_step="options belong into the settings"
            )
        user, password = login or (unquote(parts.username or ""), unquote(parts.password or ""))
        context = (tls or TlsOptions()).context() if parts.scheme == "amqps" else None
        virtual_host = unquote(parts.path.removeprefix("/")) or VIRTUAL_HOST
        return cls(parts.hostname, port, virtual_host, user, password, context)

    def __str__(self) -> str:
        return f"RabbitMQ at {self.host}:{self.port}, virtual host {self.virtual_host}"
