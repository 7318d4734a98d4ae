"""Everything that starts by itself on one system: place by place, each to its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun import cron, live
from mig_autorun.finding import find
from mig_autorun.including import Including
from mig_autorun.readers.desktop import values_of
from mig_autorun.readers.reading import Look, entry_of, search_path, with_programs
from mig_autorun.readers.table import READERS
from mig_autorun.systemd.scope import Scope
from mig_autorun.systemd.starting import SYSTEM_ROOTS, USER_ROOTS
from mig_autorun.systemd.units import SYSTEM_SPECIFIERS, Units
from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.places.place import all_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found
    from mig_autorun.programs import Programs
    from mig_autorun.system import Home, System
    from mig_endpoint.places.place import Place

NO_READER = Reason("place that nothing here reads")
BROKEN = Reason("file that could not be understood")
TABLES = frozenset({"crontab-system", "crontab-user", "anacrontab", "at"})
LIVE = ("module", "mounted", "ebpf")
THEMSELVES = frozenset({"script", "shell", "shell-commands", "desktop"})
"""Readers to whom a file that is empty, or leads nowhere, says something."""
LINGER = "/var/lib/systemd/linger"
"""A file of a user's name there starts the user's manager at boot (loginctl(1), enable-linger)."""
MORE_KINDS = {"systemd": ("environment",), "systemd-user": ("environment",)}


class Survey:
    """Looks at one system."""

    def __init__(self, system: System, programs: Programs) -> None:
        self._system = system
        self._look = Look(system, programs)
        self._programs = programs
        self._tables = cron.Tables(system)

    def entries(self, wants: Callable[[str], bool]) -> Iterator[Entry]:
        """Everything of the kinds that are wanted."""
        for place in all_places():
            if self._system.expired():
                self._system.tally.skip(coverage.TIME, place.name)
                continue
            kinds = (place.kind, *MORE_KINDS.get(place.kind, ()))
            if any(wants(kind) for kind in kinds):
                yield from self._guarded(place.name, self._place(place))
        if self._system.is_own:
            readers: tuple[Callable[[System], Iterator[Entry]], ...] = (live.modules, live.mounts, live.programs)
            for kind, reader in zip(LIVE, readers, strict=True):
                if wants(kind):
                    yield from self._guarded(kind, reader(self._system))

    def _guarded(self, name: str, entries: Iterator[Entry]) -> Iterator[Entry]:
        """The entries of one place or file; what breaks it breaks no other, and is booked."""
        try:
            yield from entries
        except (ValueError, IndexError, RecursionError, OverflowError) as error:
            self._system.tally.failed(BROKEN, name, f"{type(error).__name__}: {error}")

    def _place(self, place: Place) -> Iterator[Entry]:
        if place.reader == "systemd":
            yield from self._units(place)
        elif place.reader == "bpffs":
            yield from live.pins(self._system) if self._system.is_own else ()
        elif place.reader == "systemd-user":
            yield from self._user_units(place)
        else:
            for found in Including(self._system, find(self._system, place)).all():
                yield from self._guarded(found.file.path, self._read(found))

    def _read(self, found: Found) -> Iterator[Entry]:
        reader = found.place.reader
        self._system.tally.examined("places")
        if reader in TABLES:
            yield from self._jobs(found)
        elif reader not in READERS:
            self._system.tally.skip(NO_READER, found.file.path)
        elif found.state in ("mask", "dangling") and reader not in THEMSELVES:
            yield entry_of(found)
        else:
            yield from READERS[reader](found, self._look)

    def _jobs(self, found: Found) -> Iterator[Entry]:
        """The jobs of a cron table or of at's queue, once for each program."""
        text = self._system.text(found.file) if found.file.is_file else ""
        search = search_path(text)
        for job in self._tables.jobs_of(found):
            yield from with_programs(self._look, job, search=search)

    def _units(self, place: Place) -> Iterator[Entry]:
        scope = Scope(self._system, [spot.pattern for spot in place.spots])
        units = Units(
            scope,
            SYSTEM_ROOTS,
            self._programs,
            kind=place.kind,
            user="root",
            specifiers=SYSTEM_SPECIFIERS,
            activated=list(self._activated()),
        )
        yield from units.entries()

    def _activated(self) -> Iterator[tuple[str, str]]:
        """Units that the system bus or a device starts."""
        for place in all_places():
            if place.reader not in ("dbus-system", "udev"):
                continue
            for found in find(self._system, place):
                if found.state or not found.file.is_file:
                    continue
                if place.reader == "dbus-system":
                    values = values_of(found, self._look, "D-BUS Service")
                    if "SystemdService" in values:
                        yield values["SystemdService"][1], f"D-Bus {values.get('Name', (0, found.file.name))[1]}"
                else:
                    for one in READERS["udev"](found, self._look):
                        if one.key == "SYSTEMD_WANTS":
                            yield one.name, f"udev {found.file.path}"

    def _user_units(self, place: Place) -> Iterator[Entry]:
        """Units of every user's manager: those of all users, and then each home's with what it changes."""
        shared = [spot.pattern for spot in place.spots if not spot.pattern.startswith(("~", "/run/user/"))]
        yield from self._of_user(place, shared, "each user", {})
        for home in self._system.homes:
            if self._system.expired():
                self._system.tally.skip(coverage.TIME, place.name)
                return
            own = self._folders_of(place, home)
            if any(self._system.folder(path) is not None for path, is_own in own if is_own):
                specifiers = {"h": home.path, "u": home.user}
                mine = tuple(f"{path}/" for path, is_own in own if is_own)
                lingers = self._system.at(f"{LINGER}/{home.user}") is not None
                for entry in self._of_user(place, [path for path, _ in own], home.user, specifiers):
                    if lingers:
                        entry.notes.append("from boot on: the user lingers")
                    if entry.path.startswith(mine) or any(one.startswith(mine) for one in entry.sources):
                        yield entry

    def _folders_of(self, place: Place, home: Home) -> list[tuple[str, bool]]:
        uid = self._system.ids.get(home.user)
        found = []
        for spot in place.spots:
            if spot.pattern.startswith("~"):
                found.append((f"{home.path}{spot.pattern[1:]}", True))
            elif not spot.pattern.startswith("/run/user/"):
                found.append((spot.pattern, False))
            elif uid is not None:
                found.append((spot.pattern.replace("*", str(uid), 1), True))
        return found

    def _of_user(self, place: Place, folders: list[str], user: str, specifiers: dict[str, str]) -> Iterator[Entry]:
        scope = Scope(self._system, folders)
        units = Units(scope, USER_ROOTS, self._programs, kind=place.kind, user=user, specifiers=specifiers)
        yield from units.entries()
