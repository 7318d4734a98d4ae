"""Where sinks deliver to: one type for each kind of receiver. The settings make them; sinks take them."""

from __future__ import annotations

from mig_core.records import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS; empty: not given."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """What an ``Authorization`` header says: a scheme, and what is in a file; an empty path: nothing."""

    scheme: str = "Bearer"
    path: str = ""
    key: str = "bearer_file"
    """The setting that names the file, for error texts."""


@dataclass(frozen=True, slots=True)
class WebTarget:
    """Where to post, and how. ``lines``: a request carries a batch, one record a line."""

    url: str
    gzip: bool = False
    secret: Secret = Secret()
    proxy: str = ""
    tls: Tls = Tls()
    lines: bool = False


@dataclass(frozen=True, slots=True)
class BulkTarget:
    """An index, alias or data stream of Elasticsearch or OpenSearch. ``web.url`` is that of its bulk interface."""

    web: WebTarget
    index: str


@dataclass(frozen=True, slots=True)
class SplunkTarget:
    """Splunk's HTTP Event Collector. ``index`` and ``source`` may be empty: the token's, and the module's name."""

    web: WebTarget
    index: str = ""
    source: str = ""
    sourcetype: str = "mig:alert"


@dataclass(frozen=True, slots=True)
class GelfTarget:
    """A receiver of GELF: over HTTP (``web``), or at the end of a connection (``stream``); one of them is there."""

    web: WebTarget | None
    stream: StreamTarget | None
    level: int = 6
    max_message_bytes: int = 65536


@dataclass(frozen=True, slots=True)
class SnsTarget:
    """A topic of Amazon's Simple Notification Service."""

    topic_arn: str
    region: str
    endpoint_url: str = ""
    credentials_file: str = ""


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """The end of a TCP or TLS connection."""

    address: str
    port: int
    secure: bool
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """A syslog receiver. ``facility`` and ``severity`` are RFC 5424's numbers."""

    stream: StreamTarget
    facility: int
    severity: int
    app_name: str = "mig-agent"
    max_message_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file with rotation: at ``max_bytes``, ``keep`` older ones."""

    path: str
    max_bytes: int
    keep: int


Target = WebTarget | BulkTarget | SplunkTarget | GelfTarget | SnsTarget | SyslogTarget | FileTarget
