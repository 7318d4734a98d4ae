"""What pulls a unit in: from the targets of a boot on, along dependencies, links and triggers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mig_autorun.systemd import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mig_autorun.systemd.scope import Scope, Unit

SYSTEM_ROOTS: Mapping[str, str] = {
    "default.target": "boot",
    "reboot.target": "shutdown",
    "poweroff.target": "shutdown",
    "halt.target": "shutdown",
    "kexec.target": "shutdown",
    "soft-reboot.target": "shutdown",
    "suspend.target": "sleep",
    "hibernate.target": "sleep",
    "hybrid-sleep.target": "sleep",
    "suspend-then-hibernate.target": "sleep",
}
"""Targets that are started without anybody's asking for a unit -> when (bootup(7), systemd.special(7))."""
USER_ROOTS: Mapping[str, str] = {
    "default.target": "login",
    "graphical-session-pre.target": "desktop login",
    "graphical-session.target": "desktop login",
    "xdg-desktop-autostart.target": "desktop login",
    "exit.target": "logout",
}
_DEPENDENCIES = ("Wants", "Requires", "BindsTo", "Upholds", "OnFailure", "OnSuccess")
_TRIGGERS = {"timer": ("Timer", "Unit"), "path": ("Path", "Unit"), "socket": ("Socket", "Service")}
MAX_STARTED = 50_000
MAX_STARTERS = 1000
"""Starters of one unit that are told."""


def triggered_by(unit: Unit) -> str:
    """The unit that a timer, path, socket or automount starts; empty for others."""
    if unit.type == "automount":
        return f"{names.stem_of(unit.name)}.mount"
    if unit.type not in _TRIGGERS:
        return ""
    section, key = _TRIGGERS[unit.type]
    named = names.expand(unit.settings.last(section, key), unit.name, {})
    if named:
        return named
    stem = names.stem_of(unit.name)
    if unit.type == "socket" and unit.settings.last("Socket", "Accept").lower() in ("yes", "true", "1", "on"):
        return f"{stem.partition('@')[0]}@.service"
    return f"{stem}.service"


class Starting:
    """What is started, and by what."""

    def __init__(self, scope: Scope, roots: Mapping[str, str], activated: Iterable[tuple[str, str]] = ()) -> None:
        """``activated``: units that something outside of units starts, and what."""
        self._scope = scope
        self._by: dict[str, dict[str, None]] = {}
        queue: deque[str] = deque()
        for name, why in (*roots.items(), *activated):
            self._start(name, why, queue)
        while queue:
            unit = scope.unit(queue.popleft())
            for name in self._pulls(unit):
                self._start(name, unit.name, queue)

    def _start(self, name: str, why: str, queue: deque[str]) -> None:
        if not names.is_unit(name):
            return
        own = self._scope.own_name(name)
        by = self._by.get(own)
        if by is not None:
            if len(by) < MAX_STARTERS:
                by.setdefault(why)
            return
        if len(self._by) >= MAX_STARTED or not self._would_start(own):
            return
        self._by[own] = {why: None}
        queue.append(own)

    def _would_start(self, name: str) -> bool:
        """Whether the manager takes it; a timer is refused when what it triggers cannot be loaded."""
        if names.is_template(name):
            return self._scope.is_known(name)
        if not self._scope.is_known(name):
            return names.type_of(name) in ("target", "slice") and bool(self._scope.unit(name).wants)
        unit = self._scope.unit(name)
        if not unit.loads:
            return False
        if unit.type in ("timer", "path"):
            target = self._scope.own_name(triggered_by(unit))
            return self._scope.is_known(target) and self._scope.unit(target).loads
        return True

    def _pulls(self, unit: Unit) -> Iterator[str]:
        yield from unit.wants
        for key in _DEPENDENCIES:
            for word in unit.settings.words("Unit", key):
                name = names.expand(word, unit.name, {})
                if name:
                    yield name
        if triggered := triggered_by(unit):
            yield triggered

    def by(self, name: str) -> tuple[str, ...]:
        """What starts a unit; nothing when nobody does."""
        return tuple(self._by.get(self._scope.own_name(name), ()))

    def names(self) -> Iterator[str]:
        """Every unit that is started."""
        yield from self._by
