"""What can be set for the platform: ``/etc/mig/api.toml`` and ``/etc/mig/scheduler.toml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from mig_core.errors import ConfigurationError

API_FILE = Path("/etc/mig/api.toml")
SCHEDULER_FILE = Path("/etc/mig/scheduler.toml")


def inline_or_file(key: str, inline: str, file: Path | None) -> str:
    """A setting that may stand in a file of its own instead of in the settings; empty when neither is given.

    Raises:
        ConfigurationError: both are given, or the file cannot be read.
    """
    if file is None:
        return inline
    if inline:
        raise ConfigurationError("settings", key, f"give {key} or {key}_file, not both")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), f"{key}_file", f"cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where PostgreSQL is. The URL may name a password file (``passfile=``); passwords in it are for demonstrations."""

    url: str = ""
    """libpq URL of this part's own role."""
    url_file: Path | None = None
    """File that holds the URL; instead of ``url``."""
    owner_url: str = ""
    """URL of the role that owns the tables, to apply migrations at start; empty: check the version only."""
    owner_url_file: Path | None = None
    pool_size: int = 10


@dataclass(frozen=True, slots=True)
class ServerTlsSettings:
    """The API's own certificate; empty: plain HTTP (behind a proxy that does TLS)."""

    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """All of mig-api's settings."""

    state: Path = Path("/var/lib/mig-api")
    """One-time bootstrap secret and temporary keyrings; made with mode 0700."""
    listen: str = "127.0.0.1:1664"
    """``address:port``, or ``unix:/path``; several with commas between them."""
    public_url: str = ""
    """The address investigators know this API by, like ``https://mig.example.net``.

    Logins that were signed for another address are then refused; empty: the address is not checked.
    """
    trusted_proxies: tuple[str, ...] = ()
    """Proxies in front of this API whose ``X-Forwarded-For`` is believed: addresses, networks, or ``unix``

    (whoever connects to our Unix socket). Empty: none, and everybody behind a proxy counts as one.
    """
    proxy_protocol: bool = False
    """Whether each connection of a trusted proxy begins with a header of the PROXY protocol (version 1 or 2)."""
    workers: int = 1
    """Processes that answer on the same addresses; more than one when one processor is not enough."""
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    tls: ServerTlsSettings = field(default_factory=ServerTlsSettings)
    acl: Path | None = None
    """A copy of the agents' ACL, to see whether an action needs further signatures

    None: one signature is enough here.
    """
    keys: Path | None = None
    """A copy of the agents' folder of investigators' keys, to see who has another; None: not compared."""
    enrolment_secret_file: Path | None = None
    """Agents that know this secret are admitted without approval, beside those of ``mig enrolment add``."""
    keep_retired: timedelta = timedelta(days=30)
    """How long retired agents stay in lists that do not ask for them (``--state retired``)."""
    session_lifetime: timedelta = timedelta(hours=8)
    log_level: str = "INFO"
    log_format: str = "text"
    """``text``, ``json``, or ``journal`` (systemd's, with fields)."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each that ``listen`` names."""
        return tuple(one.strip() for one in self.listen.split(",") if one.strip())


@dataclass(frozen=True, slots=True)
class AmqpSettings:
    """The scheduler's login at RabbitMQ; empty: no amqp relay."""

    url: str = ""
    url_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Who is told when an action has ended; empty: nobody."""

    url: str = ""
    secret_file: Path | None = None
    """File with what requests are signed with (HMAC-SHA256)."""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """All of mig-scheduler's settings. The https relay is always served; it needs nothing but the database."""

    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    amqp: AmqpSettings = field(default_factory=AmqpSettings)
    idle_after: timedelta = timedelta(minutes=12)
    """Without a heartbeat for so long an agent is idle."""
    offline_after: timedelta = timedelta(minutes=30)
    """Without a heartbeat for so long an agent is offline."""
    periodic_interval: timedelta = timedelta(seconds=10)
    """How often states, expiry and retention are looked after."""
    expiry_grace: timedelta = timedelta(seconds=15)
    """How long after the window's end an answer is still waited for."""
    keep_actions: timedelta = timedelta(days=90)
    """How long ended actions and their results are kept."""
    metrics_listen: str = ""
    """``address:port``, or ``unix:/path``, where Prometheus gets this scheduler's numbers; empty: nowhere."""
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    log_level: str = "INFO"
    log_format: str = "text"
    """``text``, ``json``, or ``journal`` (systemd's, with fields)."""
