"""What a private RabbitMQ reads: configuration, definitions, plugins, cookie, environment.

Written anew before every start by :mod:`mig_core.relay.private_rabbitmq`, which runs the broker. The settings are those
that RabbitMQ 3.10 and 4 both know. All files are private to their owner.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VIRTUAL_HOST = "mig"
SCHEDULER = "scheduler"
OWN_RESOURCES = r"^mig\."
"""What `scheduler` may configure, write and read: everything the relay driver declares, nothing else."""

AUTH_PLUGINS = ("rabbitmq_auth_backend_cache", "rabbitmq_auth_backend_http")
AUTH_QUESTIONS = ("user", "vhost", "resource", "topic")
AUTH_CACHE_MS = 3_600_000
"""How long the broker remembers that something was allowed, in milliseconds: what an agent that is logged in may touch
follows from its name alone (:mod:`mig_core.relay.topology`). Logins are asked about each time, refusals not remembered.
"""


def write_configuration(state_dir: Path, *, port: int, password: str, auth_url: str | None) -> None:
    """Write every file the broker reads.

    Args:
        state_dir: The broker's folder, absolute.
        port: AMQP port on 127.0.0.1.
        password: Of the account `scheduler`.
        auth_url: Checked by :func:`checked_auth_url`; None leaves `scheduler` as the only login.
    """
    definitions = state_dir / "definitions.json"
    lines = [
        f"listeners.tcp.default = 127.0.0.1:{port}",
        f"load_definitions = {definitions}",
        "log.file.level = info",
        "log.file.rotation.size = 10485760",
        "log.file.rotation.count = 1",
        "auth_backends.1 = internal",
    ]
    if auth_url:
        lines += [
            "auth_backends.2.authn = http",
            "auth_backends.2.authz = cache",
            "auth_cache.cached_backend = http",
            f"auth_cache.cache_ttl = {AUTH_CACHE_MS}",
            "auth_cache.cache_refusals = false",
            "auth_http.http_method = post",
            *(f"auth_http.{question}_path = {auth_url}/{question}" for question in AUTH_QUESTIONS),
        ]
    write_private(state_dir / "rabbitmq.conf", "\n".join(lines) + "\n")
    write_private(state_dir / "enabled_plugins", f"[{','.join(AUTH_PLUGINS if auth_url else ())}].\n")
    write_private(state_dir / "rabbitmq-env.conf", "")
    write_private(definitions, json.dumps(_definitions(password), indent=2))
    cookie = state_dir / "home" / ".erlang.cookie"
    if not cookie.exists():
        write_private(cookie, secrets.token_hex(20), mode=0o400)


def broker_environment(state_dir: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """The whole environment of the broker and its port mapper.

    It names everything that rabbitmq-server would otherwise look up in /etc, /var or the account's home.

    Args:
        state_dir: The broker's folder, absolute.
        ports: TCP ports for `distribution` (Erlang between nodes) and `epmd`.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(state_dir / "home"),
        "RABBITMQ_NODENAME": "mig@localhost",
        "RABBITMQ_CONFIG_FILE": str(state_dir / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(state_dir / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(state_dir / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(state_dir / "rabbitmq-env.conf"),
        "RABBITMQ_MNESIA_BASE": str(state_dir / "data"),
        "RABBITMQ_LOG_BASE": str(state_dir / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(state_dir / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(state_dir / "rabbitmq.pid"),
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # The script then becomes the Erlang machine instead of minding it: signals reach the broker itself.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _definitions(password: str) -> dict[str, object]:
    """Accounts and permissions. Because there are definitions to load, RabbitMQ makes no `guest`."""
    account = {
        "name": SCHEDULER,
        "password_hash": password_hash(password, secrets.token_bytes(4)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
    }
    permission = dict.fromkeys(("configure", "write", "read"), OWN_RESOURCES)
    return {
        "users": [account],
        "vhosts": [{"name": VIRTUAL_HOST}],
        "permissions": [{"user": SCHEDULER, "vhost": VIRTUAL_HOST, **permission}],
    }


def password_hash(password: str, salt: bytes) -> str:
    """RabbitMQ's salted SHA-256 (rabbitmq.com/docs/passwords): base64 of salt, then digest of salt and password.

    Args:
        password: Any text.
        salt: Exactly four random bytes.
    """
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii")


def checked_auth_url(url: str | None) -> str | None:
    """The URL without a slash at its end. It goes into a configuration file, so nothing but a plain URL may pass.

    Raises:
        ConfigurationError: it is not one.
    """
    if url is None:
        return None
    if urlsplit(url).scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9:/._~\[\]-]+", url):
        raise ConfigurationError("private RabbitMQ", "auth_url", f"must be a plain http or https URL, got {url!r}")
    return url.rstrip("/")


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that nobody else can read, in place of what was there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
