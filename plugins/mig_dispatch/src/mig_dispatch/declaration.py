"""The configuration's keys: one declaration gives checks, defaults and the manual's table.

``COMMON`` holds for every sink, ``KINDS`` for each kind of sink; ``TOP`` is the module's own table beside ``sinks``.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from mig_core.domain.target import parse_condition
from mig_core.domain.times import parse_duration
from mig_core.errors import TargetError
from mig_core.plugin.parameters import Kind, Parameter, Parameters

FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock"),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
"""RFC 5424's names; the place is the number."""
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]{1,32}):\d{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII)
_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}", re.ASCII)
_GELF_SCHEMES = ("https", "http", "tls", "tcp")
_PRINTABLE = re.compile(r"[!-~]{1,48}", re.ASCII)


def _check_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError(f"must be lower case letters, digits, - and _, at most 32, got {text!r:.60}")


def _check_path(text: str) -> None:
    if not os.path.isabs(text) or "\x00" in text or text.endswith("/"):
        raise ValueError(f"must be the absolute path of a file, got {text!r:.60}")


def _check_web(text: str) -> None:
    _check_url(text, "https://alerts.example.net/mig", ("https", "http"))


def _check_proxy(text: str) -> None:
    _check_url(text, "http://proxy.example.net:3128", ("https", "http"))


def _check_stream(text: str) -> None:
    _check_url(text, "tls://logs.example.net:6514", ("tls", "tcp"))
    parts = urlsplit(text)
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must have no path")


def _check_url(text: str, example: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        good = False
    if not good or not text.isascii() or any(one.isspace() or not one.isprintable() for one in text):
        raise ValueError(f"must be like {example}, got {text!r:.80}")
    if "@" in parts.netloc:
        raise ValueError("must not hold a name or password; secrets are read from files")


def _check_topic(text: str) -> None:
    if not _TOPIC.fullmatch(text):
        raise ValueError(f"must be like arn:aws:sns:eu-west-1:123456789012:alerts, got {text!r:.80}")


def _check_printable(text: str) -> None:
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"must be 1 to 48 printable ASCII characters without spaces, got {text!r:.60}")


def _check_where(text: str) -> None:
    try:
        parse_condition(text)
    except TargetError as error:
        raise ValueError(f"{error.problem} at position {error.position} ({error.next_step})") from None


def _check_member(text: str) -> None:
    if not text or not all(text.split(".")):
        raise ValueError(f"must be a path in the event like process.exe, got {text!r:.60}")


def _check_index(text: str) -> None:
    if not _INDEX.fullmatch(text):
        raise ValueError(f"must be the name of an index, alias or data stream in lower case, got {text!r:.60}")


def _check_word(text: str) -> None:
    if not text.isprintable() or len(text) > 200:
        raise ValueError(f"must be at most 200 printable characters, got {text!r:.60}")


def _check_receiver(text: str) -> None:
    _check_url(text, "https://graylog.example.net:12201/gelf or tls://graylog.example.net:12201", _GELF_SCHEMES)
    parts = urlsplit(text)
    if parts.scheme in ("tcp", "tls") and (parts.path not in ("", "/") or parts.query):
        raise ValueError("must have no path")
    if parts.scheme in ("tcp", "tls") and parts.port is None:
        raise ValueError("must name a port, such as 12201")


def _text(
    key: str, meaning: str, check: object = None, default: str | None = None, required: bool = False
) -> Parameter:
    checked = check if callable(check) else None
    return Parameter(name=key, key=key, help=meaning, check=checked, default=default, required=required)


def _number(key: str, meaning: str, default: int, minimum: int, maximum: int) -> Parameter:
    return Parameter(
        name=key, key=key, help=meaning, kind=Kind.INTEGER, default=default, minimum=minimum, maximum=maximum
    )


TOP = (
    _number("spool_mb", "how much the disk keeps for all sinks together; when full, the sources wait", 64, 8, 65536),
    _number("dead_letter_mb", "how much is kept of what each sink refused for good; the oldest goes", 16, 1, 4096),
)
COMMON = (
    _text("name", "what reports and files call it; receipts belong to it", _check_name, required=True),
    Parameter(
        name="kind",
        key="kind",
        help="which of the kinds below it is",
        required=True,
        choices=("http", "mozdef", "elasticsearch", "splunk", "gelf", "sns", "syslog", "file"),
    ),
    _number("batch", "how many alerts are delivered before the receipt is written", 100, 1, 1000),
    _text("timeout", "how long one exchange with the sink may take in all", parse_duration, "10s"),
    _text("retry_min", "pause after a first failure; it doubles each time, with jitter", parse_duration, "1s"),
    _text("retry_max", "longest pause", parse_duration, "5m"),
    _number(
        "wait_mb", "how much may wait for it; beyond it the oldest is dropped for it; 0: all of the spool", 0, 0, 65536
    ),
    _text(
        "wait_for", "how long an alert may wait for it before it is dropped for it; default: for ever", parse_duration
    ),
    _text("where", "which alerts it gets, in the language of targets; default: all", _check_where),
    _text(
        "aggregate", "alerts alike within so long go out once, with a count; default: each by itself", parse_duration
    ),
    Parameter(
        name="aggregate_by",
        key="aggregate_by",
        help="paths in the event that are compared; default: all but times and process ids",
        many=True,
        max_length=200,
        check=_check_member,
    ),
)
_TLS = (
    _text("ca_file", "certificates to trust (PEM); default: the system's", _check_path),
    _text("cert_file", "our certificate (PEM), for mutual TLS", _check_path),
    _text("key_file", "its key (PEM, without passphrase)", _check_path),
)
_URL = _text("url", "where to post, https:// or http://", _check_web, required=True)
_BEARER = _text("bearer_file", "file with the token of an Authorization header; https only", _check_path)
_POSTING = (
    Parameter(name="gzip", key="gzip", help="compress the body", kind=Kind.BOOLEAN, default=False),
    _text("proxy", "URL of an HTTP proxy; default: none", _check_proxy),
    *_TLS,
)
_WEB = (_URL, _BEARER, *_POSTING)
_SEVERITY = Parameter(name="severity", key="severity", help="of every message", choices=SEVERITIES, default="info")
KINDS: dict[str, tuple[Parameter, ...]] = {
    "http": (
        *_WEB,
        Parameter(
            name="format",
            key="format",
            help="record: one alert a request; lines: a batch a request, one JSON record a line",
            choices=("record", "lines"),
            default="record",
        ),
    ),
    "mozdef": _WEB,
    "elasticsearch": (
        _text("url", "the cluster, https://NAME:9200", _check_web, required=True),
        _text("index", "index, alias or data stream", _check_index, required=True),
        _text("api_key_file", "file with an API key as the cluster gave it (encoded); https only", _check_path),
        _text("basic_file", "file with NAME:PASSWORD; https only", _check_path),
        *_POSTING,
    ),
    "splunk": (
        _text("url", "the collector, https://NAME:8088/services/collector/event", _check_web, required=True),
        _text("token_file", "file with the collector's token", _check_path, required=True),
        _text("index", "which index; default: the token's own", _check_word),
        _text("source", "the envelope's source; default: mig: and the module's name", _check_word),
        _text("sourcetype", "the envelope's sourcetype", _check_word, "mig:alert"),
        *_POSTING,
    ),
    "gelf": (
        _text(
            "url",
            "https://NAME:12201/gelf, or tls://NAME:12201; http:// and tcp:// too",
            _check_receiver,
            required=True,
        ),
        _BEARER,
        _SEVERITY,
        _number("max_message_bytes", "longer events are cut: longest members first", 65536, 4096, 2 << 20),
        *_POSTING,
    ),
    "sns": (
        _text("topic_arn", "the topic", _check_topic, required=True),
        _text("region", "default: the topic's"),
        _text("endpoint_url", "another address of the service, such as a VPC endpoint", _check_web),
        _text(
            "credentials_file",
            "AWS credentials file; default: boto3's own search, ending at the instance's",
            _check_path,
        ),
    ),
    "syslog": (
        _text("url", "tls://NAME:6514 or tcp://NAME:601", _check_stream, required=True),
        Parameter(name="facility", key="facility", help="of every message", choices=FACILITIES, default="local0"),
        _SEVERITY,
        _text("app_name", "APP-NAME of every message", _check_printable, "mig-agent"),
        _number("max_message_bytes", "longer events are cut: longest members first", 8192, 1024, 1 << 20),
        *_TLS,
    ),
    "file": (
        _text("path", "the file; rotated to path.1, path.2, …", _check_path, required=True),
        _number("max_mb", "size at which it is rotated", 64, 1, 65536),
        _number("keep", "how many rotated files are kept", 5, 0, 1000),
    ),
}


def top() -> Parameters:
    """The module's own table, without ``sinks``."""
    return Parameters(*TOP)


def of_kind(kind: str) -> Parameters:
    """A sink's table."""
    return Parameters(*COMMON, *KINDS[kind])


def region_of(topic: str) -> str:
    """The region in a topic's ARN; empty when it is none."""
    match = _TOPIC.fullmatch(topic)
    return match[1] if match else ""
