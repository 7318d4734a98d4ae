"""The units of one search path: fragments, aliases, drop-ins and dependency links, as the manager finds them.

What wins was measured (systemd 252 and 257) and is pinned by tests: see docs/modules/autorun.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_autorun.systemd import names
from mig_autorun.systemd.unit_file import LONG_VALUE, MAX_TEXT, Setting, Settings, settings
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from mig_autorun.system import File, System

MAX_ALIASES = 8
LINKS = (".wants", ".requires", ".upholds")


@dataclass(slots=True)
class Unit:
    """One unit, loaded."""

    name: str
    """Its own; what else it is called is in ``aliases``."""
    fragment: File | None
    """None when there is no file of it."""
    aliases: frozenset[str] = frozenset()
    is_masked: bool = False
    drop_ins: tuple[File, ...] = ()
    settings: Settings = field(default_factory=lambda: Settings(()))
    wants: dict[str, File] = field(default_factory=dict)
    """Units that links in its folders pull in -> the link."""

    @property
    def path(self) -> str:
        """Of its fragment; empty when there is none."""
        return self.fragment.path if self.fragment is not None else ""

    @property
    def type(self) -> str:
        """``service``, ``timer`` and so on."""
        return names.type_of(self.name)

    @property
    def loads(self) -> bool:
        """Whether the manager would load it: it is there, not masked, and not without any setting."""
        if self.fragment is None or self.is_masked:
            return False
        return self.type != "service" or self.settings.last("Service", "Type") == "oneshot" or self._runs()

    def _runs(self) -> bool:
        keys = ("ExecStart", "ExecStop", "SuccessAction", "BusName")
        return any(self.settings.every("Service", key) for key in keys)


class Scope:
    """The units below the directories of a search path, the first of which wins."""

    def __init__(self, system: System, directories: list[str]) -> None:
        self.system = system
        self.directories = self._distinct(directories)
        self._places = {
            *directories,
            *(system.tree.named(folder.real) for one in self.directories if (folder := system.folder(one))),
        }
        self._entries: dict[str, dict[str, File]] = {}
        self.folders: dict[str, list[str]] = {}
        """Name of a folder (``x.wants``) -> the directories that have one, in order."""
        self._targets: dict[str, str | File] = {}
        """Name -> the name it is an alias of, or its file."""
        self._units: dict[str, Unit] = {}
        self._map()
        self._aliases: dict[str, set[str]] = {}
        for name in self._targets:
            if (own := self.own_name(name)) != name:
                self._aliases.setdefault(own, set()).add(name)

    def _distinct(self, directories: list[str]) -> list[str]:
        """Each directory once: ``/lib`` may be a link to ``/usr/lib``."""
        found: dict[str, str] = {}
        for path in directories:
            folder = self.system.folder(path)
            if folder is not None:
                found.setdefault(folder.real, path)
        return list(found.values())

    def _map(self) -> None:
        for directory in self.directories:
            folder = self.system.folder(directory)
            if folder is None:
                continue
            inner = set(folder.directories)
            for name in folder.names:
                if name in inner or (name in folder.links and name.endswith((".d", *LINKS))):
                    if name.endswith((".d", *LINKS)):
                        self.folders.setdefault(name, []).append(directory)
                    continue
                if name not in self._targets and names.is_unit(name):
                    target = self._target(self.system.inside(folder, name))
                    if target is not None:
                        self._targets[name] = target

    def _target(self, file: File) -> str | File | None:
        """What a name stands for: another name, or a file; None when the entry counts for nothing."""
        if not file.link or file.is_null:
            return file
        where, _, target = os.path.normpath(os.path.join(os.path.dirname(file.path), file.link)).rpartition("/")
        if where in self._places:
            if target == file.name:
                return None  # a link to the same name further down: that file is found there
            if names.is_unit(target) and names.type_of(target) == names.type_of(file.name):
                return self._alias(file.name, target)
            return None
        return file if file.status is not None else None  # linked from elsewhere; one that leads nowhere is none

    def _alias(self, name: str, target: str) -> str | None:
        if names.is_template(target) and names.instance_of(name):
            return names.with_instance(target, names.instance_of(name))
        return target if names.is_template(name) == names.is_template(target) else None

    def own_name(self, name: str) -> str:
        """What a name stands for in the end."""
        for _ in range(MAX_ALIASES):
            target = self._targets.get(name)
            if target is None and (template := names.template_of(name)):
                by_template = self._targets.get(template)
                if isinstance(by_template, str):
                    target = names.with_instance(by_template, names.instance_of(name))
            if not isinstance(target, str):
                return name
            name = target
        return name

    def file_of(self, name: str) -> File | None:
        """The fragment of a unit by its own name: its file, or its template's."""
        for one in (name, names.template_of(name)):
            target = self._targets.get(one)
            if isinstance(target, str):
                target = self._targets.get(self.own_name(one))
            if target is not None and not isinstance(target, str):
                return target
        return None

    def known(self) -> list[str]:
        """Every name that there is a file or link for."""
        return sorted(self._targets)

    def file_named(self, name: str) -> File | None:
        """The entry of the search path under this very name, links not followed."""
        for directory in self.directories:
            folder = self.system.folder(directory)
            if folder is not None and name in folder.names:
                return self.system.inside(folder, name)
        return None

    def is_known(self, name: str) -> bool:
        """Whether there is a fragment for it."""
        return self.file_of(self.own_name(name)) is not None

    def unit(self, name: str) -> Unit:
        """A unit by any of its names."""
        own = self.own_name(name)
        if own not in self._units:
            self._units[own] = self._load(own)
        unit = self._units[own]
        if name != own and name not in unit.aliases:
            unit.aliases |= {name}
        return unit

    def _load(self, name: str) -> Unit:
        file = self.file_of(name)
        unit = Unit(name, file, frozenset(self._aliases.get(name, ())))
        if file is not None and file.is_null:
            unit.is_masked = True
            return unit
        unit.drop_ins = tuple(self._drop_ins(unit))
        unit.settings = Settings(self._settings(unit))
        for suffix in LINKS:
            unit.wants.update(self._links(unit, suffix))
        return unit

    def _settings(self, unit: Unit) -> list[Setting]:
        files = [unit.fragment] if unit.fragment is not None else []
        found = [one for file in (*files, *unit.drop_ins) for one in settings(self.system.text(file), file.path)]
        for one in found:
            if len(one.value) > MAX_TEXT:
                self.system.tally.skip(LONG_VALUE, one.path)
        return found

    def _folders_of(self, unit: Unit, suffix: str) -> list[str]:
        """The folders of a unit that are there; in case of doubt the first wins."""
        found: dict[str, None] = {}
        for name in (unit.name, *sorted(unit.aliases)):
            candidates = [one for one in names.folders_of(name, suffix) if one in self.folders]
            for directory in self.directories if candidates else ():
                for one in candidates:
                    if directory in self.folders[one]:
                        found.setdefault(f"{directory}/{one}")
        if suffix == ".d":  # that of the whole type comes last, even from /etc
            of_type = f"{unit.type}.d"
            for directory in self.folders.get(of_type, ()):
                found.setdefault(f"{directory}/{of_type}")
        return list(found)

    def _listed(self, unit: Unit, suffix: str) -> dict[str, File]:
        """The entries of a unit's folders by name; of two with one name the first counts."""
        found: dict[str, File] = {}
        for path in self._folders_of(unit, suffix):
            folder = self.system.folder(path)
            if folder is None:
                continue
            for name in folder.names:
                if name not in found and not name.startswith("."):
                    found[name] = self.system.inside(folder, name)
        return found

    def _drop_ins(self, unit: Unit) -> list[File]:
        """The drop-ins in force, in the order of their names."""
        listed = self._listed(unit, ".d")
        return [
            file
            for name, file in sorted(listed.items())
            if name.endswith(".conf") and not file.is_null and file.is_file
        ]

    def _links(self, unit: Unit, suffix: str) -> dict[str, File]:
        """The units that links pull in: what counts is the name, that it is a link, and that nothing masks it."""
        return {
            name: file
            for name, file in sorted(self._listed(unit, suffix).items())
            if file.link and not file.is_null and names.is_unit(name)
        }
