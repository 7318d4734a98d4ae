"""The composition root: from settings to a running agent. The only file that knows all of its parts."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.agent.authority import LocalAuthority
from mig_core.agent.commands import Commands
from mig_core.agent.counters import Counters
from mig_core.agent.execution import Runner
from mig_core.agent.operations.clean_environment import clean_environment
from mig_core.agent.operations.executor import Executor
from mig_core.agent.operations.launcher import Launcher
from mig_core.agent.operations.strays import Strays
from mig_core.agent.ownership import check_ownership, fault_of, owners_of
from mig_core.agent.persistent.plan import KEY, Plan, make_plan
from mig_core.agent.persistent.supervisor import Supervisor
from mig_core.agent.platform.connector import ApiTransport, PlatformConnector, relay_kind, tls_options
from mig_core.agent.platform.enrolment import Enroller
from mig_core.agent.platform.facts import FactsHolder
from mig_core.agent.platform.given import Gift, Given
from mig_core.agent.platform.heartbeat import Heartbeats
from mig_core.agent.platform.host_tags import HostTags
from mig_core.agent.platform.machine import told_machine
from mig_core.agent.records.opening import open_records
from mig_core.agent.reload import Reload, Started
from mig_core.agent.service import Processes, Reporting, Service
from mig_core.agent.state_directory import opened_state
from mig_core.agent.trust import Trust
from mig_core.domain.agent import AgentFacts
from mig_core.errors import ConfigurationError
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from mig_core.agent.metrics_file import MetricsFile
    from mig_core.agent.records.opening import Records
    from mig_core.config.agent import AgentSettings
    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)

SEQUENCE = "heartbeat.sequence"
_STRAY_SECONDS = 0.3
_MORE_THAN_WORKERS = 16
"""Messages taken from the relay beyond what can run at once, so that a cancel overtakes waiting commands."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def read_secret(path: Path | None) -> str:
    """The enrolment secret; empty when there is none.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if path is None:
        return ""
    try:
        with path.open("r", encoding="utf-8") as file:
            return file.readline(500).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), "", f"the enrolment secret cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Identity:
    """What is needed to introduce this agent to the platform."""

    key: AgentKey
    facts: FactsHolder
    enroller: Enroller
    transport: ApiTransport
    given: Given
    host: HostTags


def introduce(
    settings: AgentSettings,
    launcher: Launcher,
    executor: Executor,
    failures: Callable[[], Mapping[str, str]] = dict,
    trust: Callable[[], Mapping[str, JSON]] = dict,
) -> Identity:
    """Key, facts (gathered once) and enrolment; the launcher is started.

    Args:
        settings: the agent's.
        launcher: knows what could not be loaded.
        executor: gathers.
        failures: what else does not work now, to be reported.
        trust: what it believes now, to be reported.

    Raises:
        ConfigurationError: names what is wrong.
        PluginError: no process for modules can be had.
    """
    platform = settings.platform
    if not platform.api:
        raise ConfigurationError("agent.toml", "platform.api", "is missing", next_step='like "https://mig.example.net"')
    if platform.api.startswith("https:") or platform.relay.startswith("amqps:"):
        tls_options(platform).context()
    catalogue = launcher.start()
    key = AgentKey.load_or_create(settings.state / "agent.key")
    first = AgentFacts(
        id=key.agent_id,
        name=settings.name,
        version="",
        mode="daemon",
        pid=os.getpid(),
        started=utc_now(),
        tags=settings.tags,
        modules=tuple(catalogue.modules),
        failures=catalogue.failures,
    )
    given = Given(settings.state / "given.json")
    host = HostTags(settings.tags_folder, settings.cloud_tags, settings.cloud_file, _writers(settings))
    facts = FactsHolder(
        first,
        name=settings.name,
        gatherer=executor,
        failures=lambda: {**launcher.catalogue.failures, **failures(), **host.problems()},
        modules=lambda: launcher.catalogue.modules,
        trust=trust,
        given=lambda: {**given.gift().tags, **host.tags()},
    )
    facts.refresh()
    transport = ApiTransport(platform)
    enroller = Enroller(
        transport,
        key,
        facts=facts.current,
        relay=relay_kind(platform),
        secret=lambda: read_secret(platform.enrolment_secret_file),
        token_file=settings.state / "relay.token",
        given=given,
        clock=utc_now,
    )
    if enroller.saved_token():
        _keep_nothing(given)
    else:
        # Its owner may have taken the secret away after it was used.
        read_secret(platform.enrolment_secret_file)
    return Identity(key, facts, enroller, transport, given, host)


def _writers(settings: AgentSettings) -> Callable[[Path], str]:
    """Says who else could write a file than who may own what the agent believes."""
    owners = owners_of(settings.trust)

    def fault(path: Path) -> str:
        found = fault_of(path, owners)
        return f"{found[0]}: {found[1]}" if found else ""

    return fault


def _keep_nothing(given: Given) -> None:
    """An agent that a release enrolled which could be given nothing is given nothing later."""
    try:
        given.keep(Gift())
    except OSError as error:
        raise ConfigurationError("given.json", "", f"cannot be written: {error.strerror}") from error


def make_launcher(settings: AgentSettings, strays: Strays | None = None) -> Launcher:
    """The launcher of the modules that local policy allows."""
    modules = settings.modules
    return Launcher(
        allow=modules.allow,
        deny=modules.deny,
        rest_after=modules.rest_after.total_seconds(),
        environment=clean_environment(os.environ, keep=modules.keep_environment),
        strays=strays,
    )


def make_supervisor(
    settings: AgentSettings, plan: Plan, identity: Identity, *, network: Collection[str], strays: Strays
) -> Supervisor:
    """What will run the persistent modules.

    Args:
        settings: the agent's.
        plan: which.
        identity: told to each.
        network: those that open connections.
        strays: ends what they leave behind.

    Raises:
        ConfigurationError: the state directory cannot be used.
    """
    try:
        return Supervisor(
            plan,
            settings.state,
            facts=identity.facts.current,
            memory_bytes=settings.modules.memory_mb << 20,
            clock=utc_now,
            environment=lambda name: clean_environment(
                os.environ, keep=settings.modules.keep_environment, proxies=name in network
            ),
            strays=strays,
        )
    except OSError as error:
        raise ConfigurationError(
            str(settings.state), "", f"the state directory cannot be used: {error.strerror}"
        ) from error


def run_daemon(settings: AgentSettings, file: Path | None = None) -> bool:
    """Serves until SIGTERM or SIGINT; returns whether to begin again, with new settings.

    Args:
        settings: the agent's.
        file: where they are from.

    Raises:
        MigError: it cannot start; names why.
    """
    # Its handler comes with the service; until then it must not end us.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    check_ownership(settings, file)
    strays = Strays()
    strays.adopt()
    launcher = make_launcher(settings, strays)
    # The zygote first: before any thread, connection or secret there could be anything to inherit.
    launcher.start()
    try:
        with opened_state(settings):
            service, reload = _compose(settings, file, launcher, strays)
            signal.set_wakeup_fd(service.wake_descriptor, warn_on_full_buffer=False)
            ended: set[int] = set()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _frame: ended.add(number))
            signal.signal(signal.SIGHUP, lambda _number, _frame: None)
            again = service.run(reload)
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        launcher.close()
        strays.end(_STRAY_SECONDS)
    # Who was told to end while it ended to begin again does not begin again.
    return again and not ended


def _metrics_file(
    settings: AgentSettings, identity: Identity, counters: Counters, supervisor: Supervisor
) -> MetricsFile | None:
    if settings.metrics_file is None:
        return None
    from mig_core.agent.metrics_file import MetricsFile

    return MetricsFile(
        settings.metrics_file,
        facts=identity.facts.current,
        statistics=counters.snapshot,
        persistent=supervisor.health,
    )


def _opened_records(settings: AgentSettings) -> Records:
    state = settings.state
    key = AgentKey.load_or_create(state / "agent.key")
    # The first heartbeat of all comes after the first journal, and before the first command.
    young = not (state / SEQUENCE).exists()
    try:
        return open_records(
            state,
            key,
            now=utc_now(),
            young=young,
            spool_bytes=settings.spool_mb << 20,
            ledger_bytes=settings.ledger_mb << 20,
        )
    except OSError as error:
        raise ConfigurationError(
            str(state), "", f"the agent's records cannot be kept: {error}", next_step="make room on its disk"
        ) from error


def _compose(settings: AgentSettings, file: Path | None, launcher: Launcher, strays: Strays) -> tuple[Service, Reload]:
    state, modules = settings.state, settings.modules
    executor = Executor(launcher, modules)
    trust = launcher.companion = Trust(state / "keyring", settings.trust)
    plan = make_plan(settings.persistent, launcher.start(), executor)
    for why in plan.failures.values():
        log.error("a persistent module is not started: %s", why)
    failures = {f"{KEY}.{name}": why for name, why in plan.failures.items()}
    records = _opened_records(settings)
    digest = told_machine()
    machine: dict[str, JSON] = {"machine": digest} if digest else {}
    problems: list[Callable[[], Mapping[str, str]]] = [lambda: failures, trust.problems, records.problems]
    identity = introduce(
        settings,
        launcher,
        executor,
        lambda: {name: why for of_one in problems for name, why in of_one().items()},
        lambda: trust.facts() | machine,
    )
    supervisor = make_supervisor(settings, plan, identity, network=launcher.catalogue.network, strays=strays)
    executor = Executor(launcher, modules, running=supervisor)
    counters = Counters()
    counters.gauge("spooled", lambda: len(records.spool))
    counters.gauge("ledger_entries", lambda: records.ledger.entries)
    authority = LocalAuthority(
        trust=trust, facts=identity.facts, journal=records.journal, modules=executor, clock=utc_now
    )
    runner = Runner(executor, identity.facts, counters, utc_now)
    commands = Commands(
        key=identity.key, authority=authority, runner=runner, records=records, counters=counters, clock=utc_now
    )
    connector = PlatformConnector(
        settings.platform,
        identity.key.agent_id,
        identity.enroller,
        given=identity.given,
        prefetch=modules.concurrency + _MORE_THAN_WORKERS,
        interrupt=identity.transport.close,
    )
    facts = identity.facts.current()
    log.info(
        "agent %s (%s) version %s with modules %s; it trusts %d keys",
        facts.id,
        facts.name,
        facts.version,
        ", ".join(facts.modules) or "none",
        trust.count(),
    )
    service = Service(
        agent_id=identity.key.agent_id,
        commands=commands,
        connector=connector,
        spool=records.spool,
        counters=counters,
        reporting=Reporting(
            heartbeats=Heartbeats(
                identity.key,
                state / SEQUENCE,
                facts=identity.facts.current,
                statistics=counters.snapshot,
                clock=utc_now,
                persistent=supervisor.health,
            ),
            facts=identity.facts,
            heartbeat_seconds=settings.heartbeat_interval.total_seconds(),
            environment_seconds=settings.environment_interval.total_seconds(),
            metrics=_metrics_file(settings, identity, counters, supervisor),
        ),
        processes=Processes(launcher, supervisor, strays, modules.concurrency),
    )

    def told() -> None:
        identity.facts.refresh()
        service.report_soon()

    reload = Reload(
        Started(settings, file, plan, launcher.catalogue),
        trust,
        identity.host,
        launcher,
        plan=lambda catalogue: make_plan(settings.persistent, catalogue, executor),
        begin_again=service.begin_again,
        told=told,
    )
    problems.append(reload.problems)
    return service, reload
