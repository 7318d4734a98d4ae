"""Other programs that call what their configuration names: incron, sudo, acpid, VPNs, monitors of disks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, matching, with_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_INCRON = re.compile(r"((?:\\.|[^\s\\])+)\s+(\S+)\s+(.+)")
_SUDO = re.compile(r"(?:Plugin\s+(\S+)|Path\s+(?:askpass|sesh|noexec|intercept))\s+(\S+)(.*)")
_SUDO_FOLDERS = ("/usr/libexec/sudo", "/usr/lib/sudo", "/usr/lib64/sudo", "/usr/local/libexec/sudo")
_ACTION = re.compile(r"(action)\s*=\s*(.+)")
_WIREGUARD = re.compile(r"(?i)(PreUp|PostUp|PreDown|PostDown)\s*=\s*(.+)")
_OPENVPN = re.compile(
    r"(?:--)?(up|down|route-up|route-pre-down|ipchange|client-connect|client-disconnect|learn-address|tls-verify|"
    r"auth-user-pass-verify|tls-crypt-v2-verify|plugin|iproute)\s+(.+)"
)
_MONITOR = re.compile(r"(?i)(PROGRAM)\s+(\S.*)|.*\s-M\s+(exec)\s+(\S+)")


def incron(found: Found, look: Look) -> Iterator[Entry]:
    """incrontab(5): a command when a file changes; a table below the spool is its user's."""
    if found.file.is_directory:
        return
    for number, fits in matching(look, found, _INCRON):
        one = entry_of(found, line=number, key=fits[2], command=fits[3], when=f"{fits[2]} of {fits[1]}")
        if found.file.path.startswith("/var/spool/"):
            one.user = found.file.name
        yield from with_programs(look, one)


def sudo(found: Found, look: Look) -> Iterator[Entry]:
    """sudo.conf(5): libraries that sudo loads as root, helpers that it runs."""
    for number, fits in matching(look, found, _SUDO):
        symbol, path, rest = fits[1] or "", fits[2], fits[3]
        places = [path] if path.startswith("/") else [f"{folder}/{path}" for folder in _SUDO_FOLDERS]
        path = next((one for one in places if look.system.at(one) is not None), places[0])
        entry = entry_of(found, symbol, line=number, key=fits[0].split()[0], command=f"{fits[2]}{rest}")
        yield from with_programs(look, entry, word_runs([path]))


def acpi(found: Found, look: Look) -> Iterator[Entry]:
    """acpid(8): what happens at an event."""
    yield from _commands(found, look, _ACTION)


def vpn(found: Found, look: Look) -> Iterator[Entry]:
    """wg-quick(8) and openvpn(8): commands around a connection, libraries of plugins."""
    yield from _commands(found, look, _WIREGUARD if "/wireguard/" in found.file.path else _OPENVPN, "#;")


def monitor(found: Found, look: Look) -> Iterator[Entry]:
    """mdadm.conf(5) and smartd.conf(5): a program that is told of a failure."""
    yield from _commands(found, look, _MONITOR)


def _commands(found: Found, look: Look, pattern: re.Pattern[str], comments: str = "#") -> Iterator[Entry]:
    """A row for each line that names a command; the pattern's groups are the setting and the command."""
    if found.file.is_directory:
        return
    for number, line in lines(look, found, comments):
        fits = pattern.match(line)
        if fits is not None:
            key, command = (one for one in fits.groups() if one is not None)
            yield from with_programs(look, entry_of(found, line=number, key=key, command=command.strip("\"'")))
