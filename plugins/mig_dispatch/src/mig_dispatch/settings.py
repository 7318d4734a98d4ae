"""The configuration, checked and typed. Reading it is pure: no file is opened, nothing is connected."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mig_core.domain.target import parse_condition
from mig_core.domain.times import parse_duration
from mig_core.errors import ConfigurationError
from mig_core.plugin.settings import read_table
from mig_core.records import dataclass, replace
from mig_dispatch import declaration
from mig_dispatch.targets import (
    BulkTarget,
    FileTarget,
    GelfTarget,
    Secret,
    SnsTarget,
    SplunkTarget,
    StreamTarget,
    SyslogTarget,
    Target,
    Tls,
    WebTarget,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.target import Target as Condition
    from mig_core.plugin.parameters import Values

MAX_SINKS = 8
_WANTED = "errors,items.*.status,items.*.error.type,items.*.error.reason,error.type,error.reason,error.root_cause"
"""Of a bulk answer: without this it repeats index, id and shards of every document."""


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """One sink: what is the same for all kinds, and where it goes. Times are seconds."""

    name: str
    kind: str
    target: Target
    batch: int = 100
    timeout: float = 10.0
    retry_min: float = 1.0
    retry_max: float = 300.0
    wait_bytes: int = 0
    """How much may wait for it; 0: as much as the spool holds."""
    wait_for: float = 0.0
    """How long an alert may; 0: for ever."""
    where: Condition | None = None
    """Which alerts it gets; None: all."""
    aggregate: float = 0.0
    """Alerts alike within so long go out once; 0: each by itself."""
    aggregate_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """The whole table."""

    spool_bytes: int
    dead_letter_bytes: int
    sinks: tuple[SinkSettings, ...]


def read_settings(config: Mapping[str, JSON]) -> DispatchSettings:
    """The settings in the module's table.

    Raises:
        ConfigurationError: names the key, like ``sinks[0].url``.
    """
    own = {key: value for key, value in config.items() if key != "sinks"}
    top = read_table(declaration.top(), own, path="")
    tables = config.get("sinks")
    if not isinstance(tables, list) or not 1 <= len(tables) <= MAX_SINKS:
        raise ConfigurationError(
            "",
            "sinks",
            f"must be 1 to {MAX_SINKS} tables",
            next_step='add [[persistent.dispatch.sinks]] with name = "main", kind = "http" and url = "https://…"',
        )
    sinks = tuple(_read_sink(table, f"sinks[{index}]") for index, table in enumerate(tables))
    names = [one.name for one in sinks]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigurationError("", f"sinks[{index}].name", f"{name} is the name of another sink already")
    return DispatchSettings(top.integer("spool_mb") << 20, top.integer("dead_letter_mb") << 20, sinks)


def _read_sink(table: JSON, path: str) -> SinkSettings:
    if not isinstance(table, dict):
        raise ConfigurationError("", path, "must be a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in declaration.KINDS:
        known = ", ".join(declaration.KINDS)
        problem = "is missing" if kind is None else f"must be one of {known}, got {kind!r:.60}"
        raise ConfigurationError("", f"{path}.kind", problem, next_step=f"kinds: {known}")
    return _typed(read_table(declaration.of_kind(kind), table, path=path), path)


def _typed(values: Values, path: str) -> SinkSettings:
    kind = values.text("kind")
    makers: dict[str, Callable[[Values, str], Target]] = {
        "elasticsearch": _bulk,
        "splunk": _splunk,
        "gelf": _gelf,
        "sns": _sns,
        "syslog": _syslog,
        "file": _file,
    }
    settings = SinkSettings(
        values.text("name"),
        kind,
        makers.get(kind, _web)(values, path),
        values.integer("batch"),
        _seconds(values, "timeout", path),
        _seconds(values, "retry_min", path),
        _seconds(values, "retry_max", path),
        values.integer("wait_mb") << 20,
        _seconds(values, "wait_for", path, most=366 * 86400.0, said="at most 366d") if values.text("wait_for") else 0.0,
        parse_condition(values.text("where")) if values.text("where") else None,
        _seconds(values, "aggregate", path, most=3600.0, said="at most 1h") if values.text("aggregate") else 0.0,
        values.texts("aggregate_by"),
    )
    if settings.aggregate_by and not settings.aggregate:
        raise ConfigurationError("", f"{path}.aggregate", "is missing", next_step='say how long, like "1m"')
    if settings.retry_max < settings.retry_min:
        raise ConfigurationError("", f"{path}.retry_max", "must not be less than retry_min")
    return settings


def _web(values: Values, path: str) -> WebTarget:
    lines = values.text("kind") == "http" and values.text("format") == "lines"
    return _posting(values, path, ("bearer_file", "Bearer"), lines=lines)


def _bulk(values: Values, path: str) -> BulkTarget:
    if values.text("api_key_file") and values.text("basic_file"):
        raise ConfigurationError("", f"{path}.basic_file", "is given beside api_key_file: one of them is enough")
    key = ("basic_file", "Basic") if values.text("basic_file") else ("api_key_file", "ApiKey")
    web = _posting(values, path, key)
    url = web.url.rstrip("/").removesuffix("/_bulk") + "/_bulk"
    if "?" in url:
        raise ConfigurationError("", f"{path}.url", "must have no query")
    return BulkTarget(replace(web, url=f"{url}?filter_path={_WANTED}"), values.text("index"))


def _splunk(values: Values, path: str) -> SplunkTarget:
    web = _posting(values, path, ("token_file", "Splunk"))
    if urlsplit(web.url).path in ("", "/"):
        web = replace(web, url=web.url.rstrip("/") + "/services/collector/event")
    return SplunkTarget(web, values.text("index"), values.text("source"), values.text("sourcetype"))


def _gelf(values: Values, path: str) -> GelfTarget:
    level, most = declaration.SEVERITIES.index(values.text("severity")), values.integer("max_message_bytes")
    if values.text("url").startswith("http"):
        return GelfTarget(_posting(values, path, ("bearer_file", "Bearer")), None, level, most)
    for key in ("bearer_file", "proxy"):
        if values.text(key):
            raise ConfigurationError("", f"{path}.{key}", "is for http:// and https:// only")
    if values.boolean("gzip"):
        raise ConfigurationError("", f"{path}.gzip", "is for http:// and https:// only: GELF over TCP ends at a NUL")
    return GelfTarget(None, _stream(values, path, 12201), level, most)


def _posting(values: Values, path: str, secret: tuple[str, str], *, lines: bool = False) -> WebTarget:
    """What all that post have in common; ``secret``: the key of the file, and the header's scheme."""
    url, (key, scheme) = values.text("url"), secret
    secure = url.startswith("https:")
    if values.text(key) and not secure and (values.text("proxy") or not _is_loopback(url)):
        raise ConfigurationError("", f"{path}.{key}", "needs an https:// url: the token would be sent readable")
    return WebTarget(
        url,
        values.boolean("gzip"),
        Secret(scheme, values.text(key), key),
        values.text("proxy"),
        _tls(values, path, secure=secure),
        lines,
    )


def _stream(values: Values, path: str, port: int) -> StreamTarget:
    parts = urlsplit(values.text("url"))
    secure = parts.scheme == "tls"
    return StreamTarget(parts.hostname or "", parts.port or port, secure, _tls(values, path, secure=secure))


def _sns(values: Values, _path: str) -> SnsTarget:
    topic = values.text("topic_arn")
    region = values.text("region") or declaration.region_of(topic)
    return SnsTarget(topic, region, values.text("endpoint_url"), values.text("credentials_file"))


def _syslog(values: Values, path: str) -> SyslogTarget:
    return SyslogTarget(
        _stream(values, path, 6514 if values.text("url").startswith("tls:") else 601),
        declaration.FACILITIES.index(values.text("facility")),
        declaration.SEVERITIES.index(values.text("severity")),
        values.text("app_name"),
        values.integer("max_message_bytes"),
    )


def _file(values: Values, _path: str) -> FileTarget:
    return FileTarget(values.text("path"), values.integer("max_mb") << 20, values.integer("keep"))


def _tls(values: Values, path: str, *, secure: bool) -> Tls:
    tls = Tls(values.text("ca_file"), values.text("cert_file"), values.text("key_file"))
    if bool(tls.cert_file) != bool(tls.key_file):
        raise ConfigurationError("", f"{path}.{'key_file' if tls.cert_file else 'cert_file'}", "is missing")
    if tls != Tls() and not secure:
        raise ConfigurationError("", f"{path}.url", "is not encrypted, but certificates are given")
    return tls


def _seconds(values: Values, key: str, path: str, *, most: float = 86400.0, said: str = "from 10ms to 24h") -> float:
    seconds = parse_duration(values.text(key)).total_seconds()
    if not 0.01 <= seconds <= most:
        raise ConfigurationError("", f"{path}.{key}", f"must be {said}")
    return seconds


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
