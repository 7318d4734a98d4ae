"""Services of D-Bus and programs of desktop sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun.commands import word_runs
from mig_autorun.readers.reading import Look, entry_of, with_programs
from mig_autorun.systemd.unit_file import settings, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

SYSTEM_FOLDERS = ("/usr/local/share/", "/usr/share/", "/lib/")
"""Where the launch helper of the system bus finds service files; others are listed, and not found (D-Bus 1.16)."""
_SECTION = "D-BUS Service"


def values_of(found: Found, look: Look, section: str) -> dict[str, tuple[int, str]]:
    """The settings of a section, the last of each, with their lines."""
    text = look.system.text(found.file)
    return {one.key: (one.line, one.value) for one in settings(text, found.file.path) if one.section == section}


def system_bus(found: Found, look: Look) -> Iterator[Entry]:
    """A service of the system bus: it needs the file's name to be its own, unless systemd starts a unit for it."""
    if found.file.is_directory:
        return
    values = values_of(found, look, _SECTION)
    name = values.get("Name", (0, ""))[1]
    unit = values.get("SystemdService", (0, ""))[1]
    state = found.state
    if not state and not unit and found.file.name != f"{name}.service":
        state = "name of the file is another: not activated"
    if not state and not unit and not found.file.path.startswith(SYSTEM_FOLDERS):
        state = "the launch helper does not look there"
    yield from _service(found, look, values, state, values.get("User", (0, ""))[1])


def session_bus(found: Found, look: Look) -> Iterator[Entry]:
    """A service of the session bus: another file name does, but in the runtime folder."""
    if found.file.is_directory:
        return
    values = values_of(found, look, _SECTION)
    state = found.state
    name = values.get("Name", (0, ""))[1]
    if not state and found.file.path.startswith("/run/") and found.file.name != f"{name}.service":
        state = "name of the file is another: not activated"
    yield from _service(found, look, values, state, found.user)


def _service(found: Found, look: Look, values: dict[str, tuple[int, str]], state: str, user: str) -> Iterator[Entry]:
    line, command = values.get("Exec", (0, ""))
    name = values.get("Name", (0, ""))[1] or found.file.name
    unit = values.get("SystemdService", (0, ""))[1]
    one = entry_of(found, name, line=line, key="Exec", command=command, user=user, state=state, enabled=not state)
    if unit:
        one.notes.append(f"systemd starts {unit} for it")
    if command.strip() in ("/bin/false", "/usr/bin/false") and unit:
        one.program = command.strip()
        yield one
        return
    yield from with_programs(look, one, word_runs(words(command)))


def autostart(found: Found, look: Look) -> Iterator[Entry]:
    """A ``.desktop`` file of a session, as systemd's generator and desktops take it.

    An *empty* file in a home hides that of the system; a link to ``/dev/null`` does not (systemd 257).
    """
    file = found.file
    if file.is_directory:
        return
    values = {key: value for key, (_, value) in values_of(found, look, "Desktop Entry").items()}
    state = found.state or _why_not(found, look, values)
    one = entry_of(found, key="Exec", command=values.get("Exec", ""), state=state, enabled=not state)
    if found.home is None and not state and (hiding := _hiding(found, look)):
        one.notes.append(f"replaced in {', '.join(hiding)}")
    for key in ("OnlyShowIn", "NotShowIn", "AutostartCondition"):
        if values.get(key):
            one.notes.append(f"{key}={values[key]}")
    if values.get("X-GNOME-Autostart-enabled", "").lower() == "false":
        one.notes.append("X-GNOME-Autostart-enabled=false: GNOME leaves it out, systemd's generator does not")
    yield from with_programs(look, one, word_runs(words(values.get("Exec", ""))))


def _hiding(found: Found, look: Look) -> list[str]:
    """The homes whose own file of the name, perhaps an empty one, stands for that of the system."""
    files = (
        (home.path, look.system.at(f"{home.path}/.config/autostart/{found.file.name}")) for home in look.system.homes
    )
    return [home for home, file in files if file is not None and file.is_file]


def _why_not(found: Found, look: Look, values: dict[str, str]) -> str:
    if found.home is None and look.system.homes and len(_hiding(found, look)) == len(look.system.homes):
        return "replaced in every home"
    if not values:
        return "hides that of the system" if found.file.is_file and found.home is not None else "nothing in it"
    if values.get("Hidden", "").lower() == "true":
        return "Hidden=true"
    if values.get("X-systemd-skip", "").lower() == "true":
        return "X-systemd-skip=true: left to the desktop"
    if values.get("Type") != "Application":
        return "Type is not Application"
    tried = values.get("TryExec", "")
    if tried and not look.programs.resolve(tried).exists:
        return f"TryExec {tried} is not there"
    program = words(values.get("Exec", ""))[:1]
    if not program or not look.programs.resolve(program[0]).exists:
        return "program is not there"
    return ""
