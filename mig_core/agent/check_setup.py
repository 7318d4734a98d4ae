"""``mig-agent --check``: is everything there that the agent needs, and if not, what is wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING

from mig_core.agent.daemon import make_launcher, read_secret
from mig_core.agent.operations.executor import Executor
from mig_core.agent.ownership import faults
from mig_core.agent.persistent.plan import make_plan
from mig_core.agent.platform.connector import tls_options
from mig_core.agent.platform.machine import is_copied, this_machine
from mig_core.agent.trust import parse_acl, read_acl_bytes
from mig_core.errors import ConfigurationError
from mig_core.soundness import Wrong, examine, look_at_clock, look_at_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mig_core.config.agent import AgentSettings
    from mig_core.soundness import Seen


_SECONDS = 2.0
_MOST_BYTES = 64 << 10


def check_setup(settings: AgentSettings, file: Path | None, *, seconds: float) -> Sequence[Seen]:
    """Looks at everything, in less than three seconds. Changes nothing that lasts.

    Args:
        settings: the agent's.
        file: where they are from.
        seconds: for all of it.
    """
    looks: dict[str, Callable[[AgentSettings], Iterator[str | Wrong]]] = {
        "files": lambda settings: _check_files(settings, file),
        "platform": _check_platform,
        "trust": _check_trust,
        "state": _check_state,
        "disk": lambda settings: look_at_room(settings.state),
        "api": _check_api,
        "relay": _check_relay,
        "modules": _check_modules,
        "persistent": _check_persistent,
    }
    return examine({name: partial(look, settings) for name, look in looks.items()}, seconds=seconds)


def _check_files(settings: AgentSettings, file: Path | None) -> Iterator[str | Wrong]:
    found = False
    for fault in faults(settings, file):
        found = True
        yield Wrong(f"{fault.path}: {fault.problem}")
    if not found:
        yield "nobody else can write settings, keys and ACL"


def _check_platform(settings: AgentSettings) -> Iterator[str | Wrong]:
    platform = settings.platform
    if not platform.api:
        raise ConfigurationError("", "platform.api", "is missing", next_step='like "https://mig.example.net"')
    yield f"the API is {platform.api}, the relay is {platform.relay.rpartition('@')[2] or 'the API itself'}"
    tls_options(platform).context()
    secret = read_secret(platform.enrolment_secret_file)
    yield "enrols with the secret" if secret else "has no enrolment secret: mig agent approve admits it"


def _check_api(settings: AgentSettings) -> Iterator[str | Wrong]:
    """Really asks it, over the proxy and with the certificates of the settings."""
    from mig_core.relay.https_transport import HttpsTransport

    platform = settings.platform
    if not platform.api:
        return
    transport = HttpsTransport(platform.api, "", tls=tls_options(platform), proxy=platform.proxy)
    try:
        status, content = transport.exchange("GET", "/healthz", body=None, seconds=_SECONDS, largest=_MOST_BYTES)
        now = datetime.now(UTC)
    finally:
        transport.close()
    if status == 200:
        yield f"{transport} answers"
    elif status == 503:
        yield Wrong(
            f"{transport} cannot work now: {content.decode('utf-8', 'replace')}", "see to mig-api; mig-api --check"
        )
    else:
        yield Wrong(f"{transport} answers with status {status}", "is platform.api the address of mig-api?")
    try:
        ahead = now - parsedate_to_datetime(transport.date)
    except (ValueError, TypeError):
        return
    yield look_at_clock(ahead, "the API's clock")


def _check_relay(settings: AgentSettings) -> Iterator[str | Wrong]:
    """Whether RabbitMQ lets this agent in, if it is to use it and is known already."""
    platform, token_file, key_file = settings.platform, settings.state / "relay.token", settings.state / "agent.key"
    if not platform.relay:
        yield "is the API itself"
        return
    from mig_core.relay.amqp_broker import Broker

    shown = platform.relay.rpartition("@")[2]
    if not os.access(token_file, os.R_OK) or not os.access(key_file, os.R_OK):
        host = Broker.from_url(platform.relay, tls=tls_options(platform))
        yield from _knock(host.host, host.port, shown)
        return
    import asyncio

    from mig_core.identity import AgentKey
    from mig_core.relay.amqp_connection import login_time

    login = (AgentKey.load_or_create(key_file).agent_id, token_file.read_text(encoding="ascii").strip())
    broker = Broker.from_url(platform.relay, tls=tls_options(platform), login=login)
    yield f"{shown} lets this agent in, after {asyncio.run(login_time(broker)):.1f} s"


def _knock(host: str, port: int, shown: str) -> Iterator[str | Wrong]:
    import socket

    try:
        with socket.create_connection((host, port), timeout=_SECONDS):
            yield f"{shown} takes connections; whether it lets this agent in shows when it has enrolled"
    except OSError as error:
        yield Wrong(f"{shown} cannot be reached: {error}", "is platform.relay right, and does RabbitMQ run?")


def _check_trust(settings: AgentSettings) -> Iterator[str | Wrong]:
    import tempfile
    from pathlib import Path

    from mig_core.pgp.gnupg import GnupgKeyring

    acl = parse_acl(settings.trust.acl, read_acl_bytes(settings.trust.acl))
    with tempfile.TemporaryDirectory(prefix="mig-check-") as home:
        keyring = GnupgKeyring.from_directory(Path(home) / "keyring", settings.trust.keys)
        keys = keyring.keys()
    yield f"{len(keys)} keys in {settings.trust.keys}, ACL entries for {', '.join(acl.entries) or 'nothing'}"
    for name, why in keyring.unusable.items():
        yield Wrong(f"{name} {why}")
    known = {key.fingerprint for key in keys}
    for key in keys:
        if key.revoked:
            yield Wrong(f"the key {key.fingerprint} is revoked")
    for module, entry in acl.entries.items():
        usable = sum(weight for fingerprint, weight in entry.weights.items() if fingerprint in known)
        for fingerprint in sorted(set(entry.weights) - known):
            yield Wrong(f"{module}: no key file for {fingerprint}")
        if usable < entry.minimum_weight:
            yield Wrong(f"{module}: all its investigators together weigh {usable}, it needs {entry.minimum_weight}")
    if not acl.entries:
        yield Wrong("the ACL is empty: every action will be refused", "write one; see docs/agent.md")


def _check_modules(settings: AgentSettings) -> Iterator[str | Wrong]:
    launcher = make_launcher(settings)
    try:
        catalogue = launcher.start()
    finally:
        launcher.close()
    for name, failure in catalogue.failures.items():
        yield Wrong(f"{name}: {failure}")
    for name in sorted(set(settings.modules.allow) - set(catalogue.modules) - set(catalogue.failures)):
        yield Wrong(f"{name} is allowed but not installed: pip install mig-plugin-{name}")
    if catalogue.modules:
        yield ", ".join(catalogue.modules)
    else:
        yield Wrong("none is installed: every action will be refused", "pip install mig-plugin-file")


def _check_persistent(settings: AgentSettings) -> Iterator[str | Wrong]:
    if not settings.persistent:
        yield "no module is to run persistently"
        return
    launcher = make_launcher(settings)
    try:
        plan = make_plan(settings.persistent, launcher.start(), Executor(launcher, settings.modules))
    finally:
        launcher.close()
    for why in plan.failures.values():
        yield Wrong(f"{why}")
    for name in plan.modules:
        yield f"{name} takes the alerts" if name == plan.sink else name
    if plan.modules and not plan.sink:
        yield "no module takes alerts: they go to the log"


def _check_state(settings: AgentSettings) -> Iterator[str | Wrong]:
    state = settings.state
    if not state.exists():
        yield f"{state} will be made at the first start"
        return
    if (state / "agent.key").exists():
        from mig_core.identity import AgentKey

        yield f"{state}: agent {AgentKey.load_or_create(state / 'agent.key').agent_id}"
    if is_copied(state, this_machine()):
        yield Wrong(f"{state}: belongs to another machine; copied_state is {settings.copied_state!r}")
