"""Where packages come from: apt, dnf, yum and zypper, apk, pacman, pip and npm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.readers.reading import Look, entry_of, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_ONE_LINE = re.compile(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(.*)")
_FIELD = re.compile(r"([A-Za-z0-9-]+)\s*:\s*(.*)")
_FALSE = frozenset({"0", "no", "false", "off"})
_TRUE = frozenset({"1", "yes", "true", "on"})
_INTERESTING = re.compile(
    r"(?i)(?:https?|file|ftp)://|^(?:index-url|extra-index-url|registry|server|include|usesyncfirst|xfercommand|siglevel)\b|^/"
)


def apt(found: Found, look: Look) -> Iterator[Entry]:
    """sources.list(5), one-line and deb822."""
    if found.file.is_directory:
        return
    if found.file.name.endswith(".sources"):
        yield from _deb822(found, look)
        return
    for number, line in lines(look, found):
        fits = _ONE_LINE.match(line)
        if fits is not None:
            notes = ["not verified: trusted=yes"] if re.search(r"\b(trusted|allow-insecure)=yes", fits[2] or "") else []
            if fits[3].startswith("http:"):
                notes.append("not encrypted")
            yield entry_of(found, fits[3], line=number, key=fits[1], command=line, notes=notes)


def _deb822(found: Found, look: Look) -> Iterator[Entry]:
    text = look.system.text(found.file)
    place = 1
    for paragraph in re.split(r"\n[ \t]*\n", text):
        values: dict[str, str] = {}
        last = ""
        for line in paragraph.split("\n"):
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and last:
                values[last] += f" {line.strip()}"
            elif (fits := _FIELD.match(line)) is not None:
                last = fits[1].lower()
                values[last] = fits[2].strip()
        state = found.state or ("disabled" if values.get("enabled", "yes").lower() in _FALSE else "")
        notes = ["not verified: Trusted: yes"] if values.get("trusted", "").lower() in _TRUE else []
        for uri in values.get("uris", "").split():
            command = (
                f"{values.get('types', '')} {uri} {values.get('suites', '')} {values.get('components', '')}".strip()
            )
            said = [*notes, "not encrypted"] if uri.startswith("http:") else list(notes)
            yield entry_of(
                found,
                uri,
                line=place,
                key=values.get("types", ""),
                command=command,
                notes=said,
                state=state,
                enabled=not state,
            )
        place += paragraph.count("\n") + 2


def yum(found: Found, look: Look) -> Iterator[Entry]:
    """Repositories of dnf, yum and zypper; ``[main]`` only where it names plugins or proxies."""
    if found.file.is_directory:
        return
    section, began = "", 0
    values: dict[str, str] = {}
    for number, line in [*lines(look, found, "#;"), (0, "[end]")]:
        if line.startswith("[") and line.endswith("]"):
            if section and section != "main":
                yield _repository(found, section, began, values)
            section, began, values = line[1:-1], number, {}
        elif "=" in line:
            key, _, value = line.partition("=")
            values[key.strip()] = value.strip()


def _repository(found: Found, section: str, line: int, values: dict[str, str]) -> Entry:
    where = values.get("baseurl") or values.get("metalink") or values.get("mirrorlist") or ""
    notes = []
    if values.get("gpgcheck", "").lower() in _FALSE and values.get("gpgcheck"):
        notes.append("not verified: gpgcheck=0")
    if where.startswith("http:"):
        notes.append("not encrypted")
    state = found.state or ("disabled" if values.get("enabled", "1").lower() in _FALSE else "")
    return entry_of(
        found, section, line=line, key="repository", command=where, notes=notes, state=state, enabled=not state
    )


def plain(found: Found, look: Look) -> Iterator[Entry]:
    """Lines that name a place or a program to fetch with; passwords in addresses are left out."""
    for number, line in lines(look, found, "#;"):
        if _INTERESTING.search(line):
            yield entry_of(found, line=number, key="source", command=re.sub(r"//[^/@\s]+@", "//…@", line))
