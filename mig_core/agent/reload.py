"""Notices what changed on this endpoint while the agent runs: keys, ACL, plugins, settings, certificates.

Looked at every quarter of a minute, and at once on SIGHUP. Keys and ACL are exchanged in place (:mod:`.trust`); for
other plugins the process that launches modules is renewed; for settings, certificates and persistent modules the agent
ends in good order, as on SIGTERM, and begins again in the same process. It does so only when it could: new settings
are read whole and looked at as at a start, and what does not pass leaves the old in force and is said.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.agent.ownership import check_ownership
from mig_core.agent.platform.connector import look_at_ways
from mig_core.agent.state_directory import look_at_state
from mig_core.agent.trust import Trust, parse_acl, read_acl_bytes
from mig_core.config.agent import AgentSettings
from mig_core.config.loader import load_settings
from mig_core.errors import MigError
from mig_core.pgp.keyring import read_key_files
from mig_core.renewal import LOOK_SECONDS, WatchedFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mig_core.agent.operations.launcher import Catalogue, Launcher
    from mig_core.agent.persistent.plan import Plan
    from mig_core.agent.platform.host_tags import HostTags

log = logging.getLogger(__name__)

SETTINGS, PLUGINS = "settings", "plugins"
"""Under these names the heartbeat says what is new and not used."""
_OLD = "those before stay in force"


@dataclass(frozen=True, slots=True)
class Started:
    """What the agent was started with."""

    settings: AgentSettings
    file: Path | None
    plan: Plan
    catalogue: Catalogue


class Reload:
    """Looks. ``run`` is a thread of its own.

    Args:
        started: what is in force.
        trust: keys and ACL.
        host: tags of this host.
        launcher: of modules.
        plan: makes the plan of persistent modules for a catalogue.
        begin_again: ends the agent, to begin again with the new settings.
        told: something changed that the platform should hear of soon.
    """

    def __init__(
        self,
        started: Started,
        trust: Trust,
        host: HostTags,
        launcher: Launcher,
        *,
        plan: Callable[[Catalogue], Plan],
        begin_again: Callable[[], None],
        told: Callable[[], None],
    ) -> None:
        self._started = started
        self._trust = trust
        self._host = host
        self._launcher = launcher
        self._plan = plan
        self._begin_again = begin_again
        self._told = told
        self._problems: dict[str, str] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._files = WatchedFiles(lambda: _files_of(started.settings, started.file))
        self._plugins = WatchedFiles(lambda: _plugin_folders(launcher.catalogue))

    def look_now(self) -> None:
        """At once instead of within the quarter of a minute. From any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Ends :meth:`run`."""
        self._stopping.set()
        self._woken.set()

    def problems(self) -> Mapping[str, str]:
        """What is new and not used, and why."""
        return {name: f"the new ones are not used, {_OLD}: {why}" for name, why in self._problems.items()}

    def run(self) -> None:
        """Looks until :meth:`stop`."""
        while True:
            asked = self._woken.wait(LOOK_SECONDS)
            self._woken.clear()
            if self._stopping.is_set():
                return
            before = dict(self._problems)
            changed = self._trust.look()
            changed |= self._host.look(at_once=asked)
            again = self._look_at_settings(at_once=asked)
            changed |= self._look_at_plugins(at_once=asked)
            if changed or self._problems != before:
                self._told()
            if again or self._plan_is_another():
                self._begin_again()
                return

    def _look_at_settings(self, *, at_once: bool) -> bool:
        """Whether to begin again with others."""
        # A file that they name may have come since.
        if not self._files.changed(at_once=at_once, again=SETTINGS in self._problems):
            return False
        try:
            fresh = usable_settings(self._started.file)
        except MigError as error:
            if self._problems.get(SETTINGS) != str(error):
                log.error("the new settings are not used, %s: %s", _OLD, error)
            self._problems[SETTINGS] = str(error)
            return False
        self._problems.pop(SETTINGS, None)
        names = ", ".join(differing(self._started.settings, fresh)) or "files that they name"
        log.info("the settings are others now (%s): the agent ends in good order and begins again with them", names)
        return True

    def _look_at_plugins(self, *, at_once: bool) -> bool:
        """Whether there are others now."""
        if not self._plugins.changed(at_once=at_once):
            return False  # or what is just being installed is looked at when it is whole
        before = self._launcher.catalogue
        try:
            after = self._launcher.renew()
        except MigError as error:
            log.error("the plugins are not loaded anew: %s", error)
            self._problems[PLUGINS] = str(error)
            return False
        self._problems.pop(PLUGINS, None)
        self._plugins.again()
        if after == before:
            return False
        log.info("the plugins are others now: %s", ", ".join(after.modules) or "none")
        return True

    def _plan_is_another(self) -> bool:
        """Whether persistent modules came, went, or are of another version."""
        started, now = self._started, self._launcher.catalogue
        if now == started.catalogue or not started.settings.persistent:
            return False
        plan = self._plan(now)
        versions = {name: now.versions.get(name) for name in plan.modules}
        if plan == started.plan and versions == {name: started.catalogue.versions.get(name) for name in plan.modules}:
            self._started = Started(started.settings, started.file, plan, now)
            return False
        log.info("the persistent modules are others now: the agent ends in good order and begins again with them")
        return True


def usable_settings(file: Path | None) -> AgentSettings:
    """The settings in a file, looked at as at a start.

    Raises:
        MigError: the agent could not start with them.
    """
    settings = load_settings(AgentSettings, role="agent", path=file, environment=os.environ)
    check_ownership(settings, file)
    parse_acl(settings.trust.acl, read_acl_bytes(settings.trust.acl))
    read_key_files(settings.trust.keys)
    look_at_ways(settings.platform)
    look_at_state(settings)
    return settings


def differing(old: object, new: object, prefix: str = "") -> Iterator[str]:
    """Dotted names of the settings that are not the same."""
    for one in fields(old):  # type: ignore[arg-type]  # settings are dataclasses, and of one class
        before, after = getattr(old, one.name), getattr(new, one.name)
        if is_dataclass(before) and type(before) is type(after):
            yield from differing(before, after, f"{prefix}{one.name}.")
        elif before != after:
            yield prefix + one.name


def _files_of(settings: AgentSettings, file: Path | None) -> Iterable[Path]:
    tls = settings.platform.tls
    return [path for path in (file, tls.ca_file, tls.certificate_file, tls.key_file) if path is not None]


def _plugin_folders(catalogue: Catalogue) -> Iterable[Path]:
    """Where plugins are installed, and the metadata in there: installing one changes both."""
    for folder in catalogue.path:
        path = Path(folder)
        yield path
        try:
            with os.scandir(path) as entries:
                yield from sorted(Path(one.path) for one in entries if one.name.endswith((".dist-info", ".egg-link")))
        except OSError:  # a zipped library, or a folder that is not there
            continue
