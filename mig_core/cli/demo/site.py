"""What the demonstration keeps on disk: keys, settings, endpoints' folders. Reused when it is there already."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.relay.private_rabbitmq import free_port

if TYPE_CHECKING:
    from mig_core.domain.ids import Fingerprint

INVESTIGATOR = "Demo Investigator"
ENDPOINTS = ("migworkstation", "migagenthost1", "migagenthost2", "migagenthost3")
HOLDER = "migagenthost2"
"""The endpoint that holds the demonstration file."""
CONTENT = "This file is part of the MIG demonstration.\nDEMOCONTENT\n"


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything of one demonstration lives."""

    root: Path
    relay: str
    """``https`` or ``amqp``."""

    @property
    def api_address(self) -> str:
        """``127.0.0.1:PORT``; the port is chosen once and kept."""
        kept = self.root / "api-address"
        if not kept.exists():
            kept.write_text(f"127.0.0.1:{free_port()}", encoding="ascii")
        return kept.read_text(encoding="ascii")

    @property
    def api_url(self) -> str:
        """Base URL of the demonstration's API."""
        return f"http://{self.api_address}"

    @property
    def gnupg_home(self) -> Path:
        """The investigator's GnuPG directory."""
        return self.root / "investigator" / "gnupg"

    @property
    def client_settings(self) -> Path:
        """The investigator's settings; what ``MIG_CONFIG`` is to name."""
        return self.root / "investigator" / "config.toml"

    @property
    def client_state(self) -> Path:
        """Where the demonstration's own ``mig`` keeps its session, so that none stays in whoever's home."""
        return self.root / "investigator" / "state"

    @property
    def bootstrap_secret(self) -> Path:
        """Where mig-api leaves the one-time secret."""
        return self.root / "api" / "bootstrap-secret"

    def folder(self, *parts: str) -> Path:
        """A folder below the root, made (0700) when missing."""
        place = self.root.joinpath(*parts)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def endpoint_folder(self, name: str) -> Path:
        """The working directory of one agent: what relative paths in a question are relative to."""
        return self.folder("endpoints", name)

    def make_endpoints(self) -> None:
        """Some files for each endpoint; one of them holds the demonstration file."""
        for name in ENDPOINTS:
            etc = self.endpoint_folder(name) / "etc"
            etc.mkdir(exist_ok=True)
            (etc / "hostname").write_text(f"{name}\n", encoding="ascii")
            (etc / "motd").write_text("Welcome.\n", encoding="ascii")
        (self.endpoint_folder(HOLDER) / "etc" / "mig-demo").write_text(CONTENT, encoding="ascii")

    def write_platform_settings(self, *, owner_url: str, api_url: str, scheduler_url: str, amqp_url: str) -> None:
        """Settings of API and scheduler. They hold no password: the database is reached through a private socket."""
        secret = self.root / "enrolment-secret"
        if not secret.exists():
            _write(secret, secrets.token_urlsafe(32))
        _write(
            self.root / "api.toml",
            f"""\
state = {_quoted(self.folder("api"))}
listen = {_quoted(self.api_address)}
acl = {_quoted(self.root / "acl.json")}
enrolment_secret_file = {_quoted(secret)}

[database]
url = {_quoted(api_url)}
owner_url = {_quoted(owner_url)}
""",
        )
        amqp = f"\n[amqp]\nurl = {_quoted(amqp_url)}\n" if amqp_url else ""
        _write(self.root / "scheduler.toml", f"[database]\nurl = {_quoted(scheduler_url)}\npool_size = 4\n{amqp}")

    def write_investigator(self, fingerprint: Fingerprint, public_key: bytes) -> None:
        """The investigator's settings, and what agents need to trust the key."""
        _write(
            self.client_settings,
            f"""\
api = {_quoted(self.api_url)}
fingerprint = {_quoted(fingerprint)}
gnupg_home = {_quoted(self.gnupg_home)}
""",
        )
        _write(self.folder("keys") / "investigator.asc", public_key.decode("ascii"))
        acl = {
            "default": {"minimumweight": 1, "investigators": {INVESTIGATOR: {"fingerprint": fingerprint, "weight": 1}}}
        }
        _write(self.root / "acl.json", json.dumps(acl, indent=2))

    def write_agent_settings(self, name: str, amqp_url: str, more: str = "") -> Path:
        """Settings of one agent, with further tables in TOML; returns the file."""
        path = self.folder("agents") / f"{name}.toml"
        relay = f"relay = {_quoted(amqp_url)}\n" if amqp_url else ""
        _write(
            path,
            f"""\
name = {_quoted(name)}
state = {_quoted(self.folder("agents", name))}
heartbeat_interval = "30s"
tags = {{ environment = "demo" }}

[platform]
api = {_quoted(self.api_url)}
{relay}enrolment_secret_file = {_quoted(self.root / "enrolment-secret")}

[trust]
keys = {_quoted(self.folder("keys"))}
acl = {_quoted(self.root / "acl.json")}

{more}""",
        )
        return path


def _quoted(text: object) -> str:
    """A TOML string; JSON's escapes are a subset of TOML's."""
    return json.dumps(str(text))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
