"""The configuration's keys: one declaration gives checks, defaults and the manual's table.

``COMMON`` holds for every sink, ``KINDS`` for each kind of sink; ``TOP`` is the module's own table beside ``sinks``.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from mig_core.domain.times import parse_duration
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
        choices=("http", "mozdef", "sns", "syslog", "file"),
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
)
_TLS = (
    _text("ca_file", "certificates to trust (PEM); default: the system's", _check_path),
    _text("cert_file", "our certificate (PEM), for mutual TLS", _check_path),
    _text("key_file", "its key (PEM, without passphrase)", _check_path),
)
_WEB = (
    _text("url", "where to post, https:// or http://", _check_web, required=True),
    Parameter(name="gzip", key="gzip", help="compress the body", kind=Kind.BOOLEAN, default=False),
    _text("bearer_file", "file with the token of an Authorization header; https only", _check_path),
    _text("proxy", "URL of an HTTP proxy; default: none", _check_proxy),
    *_TLS,
)
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
        Parameter(name="severity", key="severity", help="of every message", choices=SEVERITIES, default="info"),
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
