"""What can be set on an endpoint (``/etc/mig/agent.toml``)."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  read at run time by the loader
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from mig_core.domain.agent import MAX_NAME_BYTES

DEFAULT_FILE = Path("/etc/mig/agent.toml")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How connections are protected. Empty: the system's certificate authorities, no client certificate."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Where the platform is."""

    api: str = ""
    """Base URL of mig-api, like ``https://mig.example.net``:

    Enrolment, and the relay unless ``relay`` says otherwise.
    """
    relay: str = ""
    """Empty: long polling at the API. ``amqps://broker:5671/mig``: RabbitMQ. Login data come from the enrolment."""
    enrolment_secret_file: Path | None = None
    """File with the platform's enrolment secret; without it the agent waits for ``mig agent approve``."""
    proxy: str = ""
    """HTTP proxy for the API and the https relay; empty: the usual environment variables."""
    tls: TlsSettings = field(default_factory=TlsSettings)

    def __post_init__(self) -> None:
        if self.api and not self.api.startswith(("https://", "http://")):
            raise ValueError(f"api must begin with https:// or http://, got {self.api!r:.80}")
        if self.api and not _names_a_host(self.api):
            raise ValueError(f"api must name a host, and a port if any, got {self.api!r:.80}")
        if self.relay and not self.relay.startswith(("amqps://", "amqp://")):
            raise ValueError(f"relay must begin with amqps:// or amqp://, or be empty, got {self.relay!r:.80}")


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Whom the agent believes."""

    keys: Path = Path("/etc/mig/keys")
    """Directory of investigators' public keys, one armored file each."""
    acl: Path = Path("/etc/mig/acl.json")
    owners: tuple[str, ...] = ()
    """Accounts, by name or number, that may own settings, keys and ACL besides root and the agent's own account."""


@dataclass(frozen=True, slots=True)
class ModuleSettings:
    """What may be run here, and within which limits."""

    allow: tuple[str, ...] = ()
    """Names of modules that may be loaded; empty: all that are installed."""
    deny: tuple[str, ...] = ()
    """Names of modules that may not."""
    timeout: timedelta = timedelta(minutes=5)
    """Longest run of one operation."""
    memory_mb: int = 512
    """Most memory of a module's process, in MiB."""
    threads: int = 1
    """Threads one run may keep busy."""
    niceness: int = 10
    """Added to the agent's own (0 to 19)."""
    rest_after: timedelta = timedelta(seconds=30)
    """After so long without work the process that launches modules ends, to give its memory back; ``0s``: it stays."""
    concurrency: int = 2
    """Commands run at the same time."""
    keep_environment: tuple[str, ...] = ()
    """Names of the agent's environment variables that modules' processes get besides ``PATH`` and the like."""
    extra_privacy: bool = False
    """Whether results are masked before they leave the module's process."""

    def __post_init__(self) -> None:
        for name, minimum, maximum in (
            ("memory_mb", 32, 1 << 20),
            ("threads", 1, 256),
            ("niceness", 0, 19),
            ("concurrency", 1, 64),
        ):
            value = getattr(self, name)
            if not minimum <= value <= maximum:
                raise ValueError(f"{name} must be from {minimum} to {maximum}, got {value}")


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """All of an agent's settings."""

    state: Path = Path("/var/lib/mig-agent")
    """Key, journal, spool, ledger; made with mode 0700."""
    name: str = ""
    """Empty: the host's fully qualified name."""
    copied_state: str = "stop"
    """What to do when ``state`` belongs to another machine: ``stop``, ``enrol`` as a new agent, or ``ignore``."""
    heartbeat_interval: timedelta = timedelta(minutes=5)
    environment_interval: timedelta = timedelta(minutes=5)
    """How often the environment facts are looked at again."""
    spool_mb: int = 256
    """Most disk space for answers that wait for the relay, in MiB."""
    ledger_mb: int = 64
    """Most disk space for the ledger, in MiB; the oldest of its segments goes first."""
    metrics_file: Path | None = None
    """File for node_exporter's textfile collector, ending in ``.prom``; None: no metrics are written."""
    log_level: str = "INFO"
    log_format: str = "text"
    """``text``, ``json``, or ``journal`` (systemd's, with fields)."""
    tags: Mapping[str, str] = field(default_factory=dict)
    tags_folder: Path = Path("/etc/mig/tags.d")
    """Each file in it is a tag: its name, and as value its first line."""
    cloud_tags: Mapping[str, str] = field(default_factory=dict)
    """Tag -> where it stands in what cloud-init leaves, like ``{ region = "v1.region" }``."""
    cloud_file: Path = Path("/run/cloud-init/instance-data.json")
    """What cloud-init leaves."""
    platform: PlatformSettings = field(default_factory=PlatformSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    modules: ModuleSettings = field(default_factory=ModuleSettings)
    persistent: Mapping[str, object] = field(default_factory=dict)
    """A table for each persistent module that is to run, like ``[persistent.audit]``. What is in it is the module's;
    a wrong one is reported and keeps that module alone from running."""

    def __post_init__(self) -> None:
        if len(self.name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
            raise ValueError(f"name must have at most {MAX_NAME_BYTES} bytes, got {self.name!r:.80}")
        if self.heartbeat_interval < timedelta(seconds=1):
            raise ValueError("heartbeat_interval must be at least 1s")
        if self.copied_state not in ("stop", "enrol", "ignore"):
            raise ValueError(f"copied_state must be stop, enrol or ignore, got {self.copied_state!r:.40}")
        if not 1 <= self.ledger_mb <= 1 << 20:
            raise ValueError(f"ledger_mb must be from 1 to {1 << 20}, got {self.ledger_mb}")
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError(f"log_level must be DEBUG, INFO, WARNING or ERROR, got {self.log_level!r:.40}")
        if self.log_format not in ("text", "json", "journal"):
            raise ValueError(f"log_format must be text, json or journal, got {self.log_format!r:.40}")


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large; brackets do not fit
        return False
