"""What ``systemctl is-enabled`` says of a unit, from the files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun.systemd import names
from mig_autorun.systemd.scope import LINKS
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from mig_autorun.system import File
    from mig_autorun.systemd.scope import Scope

RUNTIME = "/run/"
CONFIGURED = ("/etc/systemd/", "/etc/xdg/systemd/")
_INSTALLS = ("WantedBy", "RequiredBy", "UpheldBy", "Alias", "DefaultInstance")


@dataclass(slots=True)
class _Links:
    """Where links to units lie."""

    by_name: dict[str, set[str]] = field(default_factory=dict)
    """Name of a link in a ``.wants`` folder, or name that a link leads to -> directories of the search path."""
    aliases: dict[str, set[str]] = field(default_factory=dict)
    """Name that an alias leads to -> directories."""


class States:
    """Says the state of units of one search path."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._links = self._collect()

    def _collect(self) -> _Links:
        links = _Links()
        for folder_name, directories in self._scope.folders.items():
            if not folder_name.endswith(LINKS):
                continue
            for directory in directories:
                folder = self._scope.system.folder(f"{directory}/{folder_name}")
                for name in folder.links if folder is not None else ():
                    file = self._scope.system.inside(folder, name) if folder is not None else None
                    if file is not None and not file.is_null:
                        for one in {name, file.link.rpartition("/")[2]}:
                            links.by_name.setdefault(one, set()).add(directory)
        for directory in self._scope.directories:
            folder = self._scope.system.folder(directory)
            for name in folder.links if folder is not None else ():
                target = self._scope.system.inside(folder, name).link.rpartition("/")[2] if folder is not None else ""
                if target != name and names.is_unit(name):
                    links.aliases.setdefault(target, set()).add(directory)
        return links

    def of(self, name: str) -> str:
        """The state: ``enabled``, ``static``, ``masked``, …; ``not-found`` when there is no file."""
        entry = self._scope.file_named(name)
        own = self._scope.own_name(name)
        file = self._scope.file_of(own)
        if file is None:
            return "bad" if entry is not None else "not-found"
        if file.is_null:
            return "masked-runtime" if file.path.startswith(RUNTIME) else "masked"
        if own != name and entry is not None:
            return "alias"
        for part, state in (("/generator", "generated"), ("/transient/", "transient")):
            if file.path.startswith(RUNTIME) and part in file.path.rpartition("/")[0] + "/":
                return state
        linked = self._linked(file)
        enabled = self._enabled(own)
        return enabled or linked or self._by_install(own)

    def _linked(self, file: File) -> str:
        """Whether the unit's file itself is a link from elsewhere."""
        if not file.link:
            return ""
        return "linked-runtime" if file.path.startswith(RUNTIME) else "linked"

    def _enabled(self, name: str) -> str:
        found = self._links.by_name.get(name, set()) | self._links.aliases.get(name, set())
        if any(one.startswith(CONFIGURED) or "/.config/systemd/" in one for one in found):
            return self._of_template(name) if names.is_template(name) else "enabled"
        if any(one.startswith(RUNTIME) and "/generator" not in one for one in found):
            return "enabled-runtime"
        return "static" if found and names.template_of(name) else ""

    def _of_template(self, name: str) -> str:
        """A template is enabled by its default instance; by another one it is so only indirectly."""
        default = self._scope.unit(name).settings.last("Install", "DefaultInstance")
        return "enabled" if default and names.with_instance(name, default) in self._links.by_name else "indirect"

    def _by_install(self, name: str) -> str:
        unit = self._scope.unit(name)
        if any(unit.settings.every("Install", key) for key in _INSTALLS):
            return "disabled"
        return "indirect" if unit.settings.every("Install", "Also") else "static"
