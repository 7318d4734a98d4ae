"""Programs that call others: package managers, logrotate, loggers, ifupdown, tmpfiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, matching, with_programs
from mig_autorun.systemd.unit_file import settings, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_APT_TOKEN = re.compile(
    r'//[^\n]*|#(?!clear|include)[^\n]*|/\*.*?(?:\*/|\Z)|"((?:[^"\\\n]|\\.)*)"|([{};])|([^\s{};"]+)', re.DOTALL
)
_APT_HOOKS = re.compile(
    r"(?i)(?:dpkg|apt)(?:::[\w-]+)*::(pre-invoke|post-invoke(?:-success|-stats)?|pre-install-pkgs)(?:::.*)?$|.*::(?:proxy-auto-detect|proxyautodetect)$|dir::bin::.*"
)
_DPKG = re.compile(r"(?:--)?(pre-invoke|post-invoke|status-logger)(?:\s*=\s*|\s+)(.*)")
_ROTATE = re.compile(r"(prerotate|postrotate|firstaction|lastaction|preremove)\s*$")
_COMPRESS = re.compile(r"(compresscmd|uncompresscmd|mailer)\s+(\S+)")
_RSYSLOG = (
    (re.compile(r"(?:^|\s)\^(/[^\s;]+)"), "^"),
    (re.compile(r'\bbinary\s*=\s*"([^"]+)"'), "omprog"),
    (re.compile(r'\b(?:program|pipe)\(\s*"([^"]+)"'), "("),
)
"""What names a program, and what must be in its line."""
_INTERFACES = re.compile(r"(up|pre-up|post-up|down|pre-down|post-down)\s+(.*)")
MAX_TOKENS = 100_000
_WRITES = frozenset("fFwLpCc")


def apt(found: Found, look: Look) -> Iterator[Entry]:
    """apt.conf(5): commands that apt runs around dpkg and itself."""
    if found.file.is_directory:
        return
    text = look.system.text(found.file)
    scopes: list[str] = []
    current: list[str] = []
    for place, token in enumerate(_APT_TOKEN.finditer(text)):
        if place >= MAX_TOKENS:
            break
        if token[2] == "{":
            scopes.append("".join(current))
            current = []
        elif token[2] == "}":
            scopes[-1:] = []
            current = []
        elif token[2] == ";":
            current = []
        elif token[3]:
            current.append(token[3])
        elif token[1] is not None:
            name = "::".join(one for one in (*scopes, "".join(current)) if one)
            fits = _APT_HOOKS.match(name)
            if fits is not None:
                number = text.count("\n", 0, token.start()) + 1
                command = re.sub(r'\\(["\\])', r"\1", token[1])
                yield from with_programs(look, entry_of(found, name, line=number, key=fits[1] or name, command=command))


def dpkg(found: Found, look: Look) -> Iterator[Entry]:
    """dpkg.cfg(5)."""
    for number, fits in matching(look, found, _DPKG):
        yield from with_programs(look, entry_of(found, line=number, key=fits[1], command=fits[2].strip("\"'")))


def pacman(found: Found, look: Look) -> Iterator[Entry]:
    """alpm-hooks(5)."""
    if found.file.is_directory:
        return
    for one in settings(look.system.text(found.file), found.file.path):
        if one.section == "Action" and one.key == "Exec":
            entry = entry_of(found, line=one.line, key="Exec", command=one.value)
            yield from with_programs(look, entry, word_runs(words(one.value)))


def logrotate(found: Found, look: Look) -> Iterator[Entry]:
    """logrotate(8): scripts between ``postrotate`` and ``endscript``, and programs it is told to use."""
    if found.file.is_directory:
        return
    key, began, body = "", 0, [""]
    for number, line in enumerate(look.system.text(found.file).split("\n"), 1):
        bare = line.strip()
        if key:
            if bare == "endscript":
                yield from with_programs(
                    look, entry_of(found, line=began, key=key, command="\n".join(body).strip()[:8000])
                )
                key = ""
            else:
                body.append(bare)
        elif (fits := _ROTATE.match(bare)) is not None:
            key, began, body = fits[1], number, []
        elif (other := _COMPRESS.match(bare)) is not None:
            yield from with_programs(look, entry_of(found, line=number, key=other[1], command=other[2]))


def rsyslog(found: Found, look: Look) -> Iterator[Entry]:
    """rsyslog.conf(5) and syslog-ng.conf(5): programs that get messages."""
    if found.file.is_directory:
        return
    for number, line in lines(look, found):
        for pattern, needed in _RSYSLOG:
            fits = pattern.search(line) if needed in line else None
            if fits is not None:
                yield from with_programs(look, entry_of(found, line=number, key="program", command=fits[1]))


def audit_plugin(found: Found, look: Look) -> Iterator[Entry]:
    """auditd-plugins(5): ``path`` of a plugin that is active."""
    values = {key.strip(): value.strip() for _, line in lines(look, found) for key, _, value in [line.partition("=")]}
    if values.get("path"):
        state = found.state or ("" if values.get("active") == "yes" else "not active")
        one = entry_of(found, key="path", command=f"{values['path']} {values.get('args', '')}".strip())
        one.state, one.enabled = state, not state
        yield from with_programs(look, one, [] if values.get("type") == "builtin" else word_runs([values["path"]]))


def interfaces(found: Found, look: Look) -> Iterator[Entry]:
    """interfaces(5): commands of an interface."""
    if found.file.is_directory:
        return
    name = ""
    for number, line in lines(look, found):
        parts = line.split()
        if parts[0] == "iface" and len(parts) > 1:
            name = parts[1]
        elif (fits := _INTERFACES.match(line)) is not None:
            yield from with_programs(look, entry_of(found, name, line=number, key=fits[1], command=fits[2]))


def tmpfiles(found: Found, look: Look) -> Iterator[Entry]:
    """tmpfiles.d(5): lines that write, copy or link files; those that make directories or clean up start nothing."""
    if found.file.is_directory:
        return
    for number, line in lines(look, found):
        fields = words(line)
        if len(fields) >= 2 and fields[0][:1] in _WRITES:
            argument = line.split(None, 6)[6] if len(line.split(None, 6)) > 6 else ""
            yield entry_of(found, fields[1], line=number, key=fields[0], command=argument)
