"""``mig-agent --check``: is everything there that the agent needs, and if not, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from mig_core.agent.daemon import make_launcher, read_secret
from mig_core.agent.operations.executor import Executor
from mig_core.agent.ownership import faults
from mig_core.agent.persistent.plan import make_plan
from mig_core.agent.platform.connector import tls_options
from mig_core.agent.platform.machine import is_copied, this_machine
from mig_core.agent.trust import parse_acl, read_acl_bytes
from mig_core.errors import ConfigurationError, MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mig_core.config.agent import AgentSettings


def check_setup(settings: AgentSettings, file: Path | None, out: TextIO) -> bool:
    """Prints one line for each thing that was looked at; returns whether all is well. Changes nothing that lasts."""
    well = True
    parts: tuple[tuple[str, Callable[[AgentSettings], Iterator[str]]], ...] = (
        ("files", lambda settings: _check_files(settings, file)),
        ("platform", _check_platform),
        ("trust", _check_trust),
        ("modules", _check_modules),
        ("persistent", _check_persistent),
        ("state", _check_state),
    )
    for name, check in parts:
        try:
            for line in check(settings):
                if line.startswith("!"):
                    well = False
                    print(f"WRONG   {name}: {line[1:]}", file=out)
                else:
                    print(f"ok      {name}: {line}", file=out)
        except MigError as error:
            well = False
            print(f"WRONG   {name}: {error.diagnostics()}", file=out)
    return well


def _check_files(settings: AgentSettings, file: Path | None) -> Iterator[str]:
    found = False
    for fault in faults(settings, file):
        found = True
        yield f"!{fault.path}: {fault.problem}"
    if not found:
        yield "nobody else can write settings, keys and ACL"


def _check_platform(settings: AgentSettings) -> Iterator[str]:
    platform = settings.platform
    if not platform.api:
        raise ConfigurationError("", "platform.api", "is missing", next_step='like "https://mig.example.net"')
    yield f"the API is {platform.api}, the relay is {platform.relay.rpartition('@')[2] or 'the API itself'}"
    tls_options(platform).context()
    secret = read_secret(platform.enrolment_secret_file)
    yield "enrols with the secret" if secret else "has no enrolment secret: mig agent approve admits it"


def _check_trust(settings: AgentSettings) -> Iterator[str]:
    import tempfile
    from pathlib import Path

    from mig_core.pgp.gnupg import GnupgKeyring

    acl = parse_acl(settings.trust.acl, read_acl_bytes(settings.trust.acl))
    with tempfile.TemporaryDirectory(prefix="mig-check-") as home:
        keyring = GnupgKeyring.from_directory(Path(home) / "keyring", settings.trust.keys)
        keys = keyring.keys()
    yield f"{len(keys)} keys in {settings.trust.keys}, ACL entries for {', '.join(acl.entries) or 'nothing'}"
    for name, why in keyring.unusable.items():
        yield f"!{name} {why}"
    known = {key.fingerprint for key in keys}
    for key in keys:
        if key.revoked:
            yield f"!the key {key.fingerprint} is revoked"
    for module, entry in acl.entries.items():
        usable = sum(weight for fingerprint, weight in entry.weights.items() if fingerprint in known)
        for fingerprint in sorted(set(entry.weights) - known):
            yield f"!{module}: no key file for {fingerprint}"
        if usable < entry.minimum_weight:
            yield f"!{module}: all its investigators together weigh {usable}, it needs {entry.minimum_weight}"
    if not acl.entries:
        yield "!the ACL is empty: every action will be refused"


def _check_modules(settings: AgentSettings) -> Iterator[str]:
    launcher = make_launcher(settings)
    try:
        catalogue = launcher.start()
    finally:
        launcher.close()
    for name, failure in catalogue.failures.items():
        yield f"!{name}: {failure}"
    for name in sorted(set(settings.modules.allow) - set(catalogue.modules) - set(catalogue.failures)):
        yield f"!{name} is allowed but not installed: pip install mig-plugin-{name}"
    yield ", ".join(catalogue.modules) if catalogue.modules else "!none is installed: every action will be refused"


def _check_persistent(settings: AgentSettings) -> Iterator[str]:
    if not settings.persistent:
        yield "no module is to run persistently"
        return
    launcher = make_launcher(settings)
    try:
        plan = make_plan(settings.persistent, launcher.start(), Executor(launcher, settings.modules))
    finally:
        launcher.close()
    for why in plan.failures.values():
        yield f"!{why}"
    for name in plan.modules:
        yield f"{name} takes the alerts" if name == plan.sink else name
    if plan.modules and not plan.sink:
        yield "no module takes alerts: they go to the log"


def _check_state(settings: AgentSettings) -> Iterator[str]:
    state = settings.state
    if not state.exists():
        yield f"{state} will be made at the first start"
        return
    if (state / "agent.key").exists():
        from mig_core.identity import AgentKey

        yield f"{state}: agent {AgentKey.load_or_create(state / 'agent.key').agent_id}"
    if is_copied(state, this_machine()):
        yield f"!{state}: belongs to another machine; copied_state is {settings.copied_state!r}"
