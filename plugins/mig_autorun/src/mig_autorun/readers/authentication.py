"""What runs when somebody logs in or is looked up: PAM's modules, NSS's, commands of SSH."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_autorun.commands import shell_runs, word_runs
from mig_autorun.readers.loader import LIBRARIES, library
from mig_autorun.readers.reading import Look, entry_of, lines, with_programs
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

SECURITY = (
    "/lib/x86_64-linux-gnu/security", "/usr/lib/x86_64-linux-gnu/security", "/lib/aarch64-linux-gnu/security",
    "/usr/lib/aarch64-linux-gnu/security", "/usr/lib64/security", "/lib64/security", "/usr/lib/security",
    "/lib/security",
)  # fmt: skip
"""Where PAM looks for modules: the architecture's folder, then the plain one; never /usr/local."""
PLAIN = "/usr/lib/security"
_KINDS = frozenset({"auth", "account", "password", "session"})
_INCLUDE = re.compile(r"(?:@include|-?\w+\s+(?:include|substack))\s+(\S+)", re.IGNORECASE)
PAM, VENDOR = "/etc/pam.d", "/usr/lib/pam.d"
MAX_INCLUDED = 20
_PAM = re.compile(r"(-?)(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)")
_SSHD = frozenset(
    {
        "forcecommand",
        "authorizedkeyscommand",
        "authorizedprincipalscommand",
        "subsystem",
        "setenv",
        "xauthlocation",
        "pkcs11provider",
    }
)
_SSH = frozenset(
    {"proxycommand", "localcommand", "knownhostscommand", "remotecommand", "pkcs11provider", "xauthlocation"}
)
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.*)")
_MATCH_EXEC = re.compile(r'(?i)match\b.*?\bexec\s+("(?:[^"\\]|\\.)*"|\S+)')


def pam(found: Found, look: Look) -> Iterator[Entry]:
    """pam.d(5): each module that a service loads, as the very file that is loaded."""
    if not found.file.is_directory:
        yield from _pam_file(found, look, found.file.name, {found.file.path})


def _pam_file(found: Found, look: Look, service: str, seen: set[str]) -> Iterator[Entry]:
    """The modules of a file, and of files outside of PAM's folders that it includes, each once."""
    for number, line in lines(look, found):
        yield from _pam_line(found, look, number, line, service)
        include = _INCLUDE.match(line)
        path = os.path.normpath(os.path.join(PAM, include[1])) if include is not None else ""
        if not path or path.rpartition("/")[0] in (PAM, VENDOR) or path in seen or len(seen) > MAX_INCLUDED:
            continue
        seen.add(path)
        file = look.system.at(path)
        if file is not None and file.is_file:
            yield from _pam_file(replace(found, file=file), look, service, seen)


def pam_conf(found: Found, look: Look) -> Iterator[Entry]:
    """pam.conf(5), which is not read where there is an /etc/pam.d."""
    state = found.state or ("not read: there is /etc/pam.d" if look.system.folder("/etc/pam.d") is not None else "")
    for number, line in lines(look, found):
        service, _, rest = line.partition(" ")
        for one in _pam_line(found, look, number, rest.strip(), service):
            one.state, one.enabled = state, not state
            yield one


def _pam_line(found: Found, look: Look, number: int, line: str, service: str) -> Iterator[Entry]:
    fits = _PAM.match(line)
    if fits is None or fits[2].lower() not in _KINDS or fits[3].lower() in ("include", "substack"):
        return
    module, arguments = fits[4], fits[5]
    one = entry_of(
        found, service, line=number, key=f"{fits[2].lower()} {fits[3]}", command=f"{module} {arguments}".strip()
    )
    one.program = pam_module(look, module)
    if fits[1]:
        one.notes.append("may be missing")
    yield one
    if module.rpartition("/")[2] == "pam_exec.so":
        words = [
            word
            for word in arguments.split()
            if not re.match(r"(debug|expose_authtok|seteuid|quiet|quiet_log|stdout|log=.*|type=.*)$", word)
        ]
        yield from with_programs(look, one, word_runs(words)) if words else ()


def pam_module(look: Look, name: str) -> str:
    """The file that is loaded for a module; the last place looked at when there is none."""
    name = name.replace("$ISA/", "")
    if name.startswith("/"):
        return os.path.normpath(name)
    candidates = [os.path.normpath(f"{folder}/{name}") for folder in SECURITY if look.system.folder(folder) is not None]
    candidates = candidates or [os.path.normpath(f"{PLAIN}/{name}")]
    return next((one for one in candidates if look.system.at(one) is not None), candidates[0])


def nss(found: Found, look: Look) -> Iterator[Entry]:
    """nsswitch.conf(5): the library of each service."""
    services: dict[str, tuple[int, list[str]]] = {}
    for number, line in lines(look, found):
        database, sign, rest = line.partition(":")
        if sign:
            for service in re.sub(r"\[[^\]]*\]", " ", rest.partition("#")[0]).split():
                services.setdefault(service, (number, []))[1].append(database.strip())
    for service, (number, databases) in services.items():
        if (
            service in ("files", "compat", "dns")
            and library(look, f"libnss_{service}.so.2") == f"libnss_{service}.so.2"
        ):
            continue  # glibc has them inside from 2.34 on
        path = library(look, f"libnss_{service}.so.2", LIBRARIES)
        yield entry_of(
            found, service, line=number, key=" ".join(databases), program=path, command=f"libnss_{service}.so.2"
        )


def sshd(found: Found, look: Look) -> Iterator[Entry]:
    """sshd_config(5): commands that a login runs."""
    yield from _ssh_settings(found, look, _SSHD)


def ssh(found: Found, look: Look) -> Iterator[Entry]:
    """ssh_config(5): commands that a call of ssh runs."""
    yield from _ssh_settings(found, look, _SSH)
    for number, line in lines(look, found):
        fits = _MATCH_EXEC.match(line)
        if fits is not None:
            yield from with_programs(look, entry_of(found, line=number, key="Match exec", command=fits[1].strip('"')))


def _ssh_settings(found: Found, look: Look, keys: frozenset[str]) -> Iterator[Entry]:
    if found.file.is_directory:
        return
    for number, line in lines(look, found):
        fits = _SETTING.match(line)
        if fits is None or (key := fits[1].lower()) not in keys or fits[2].strip().lower() == "none":
            continue
        value = fits[2].strip()
        one = entry_of(found, fits[1], line=number, key=fits[1], command=value)
        if key == "setenv":
            yield one
        elif key == "subsystem":
            name, command = [*value.split(None, 1), ""][:2]
            one.name = name
            yield from with_programs(look, one, [] if command == "internal-sftp" else shell_runs(command))
        elif key == "pkcs11provider":
            one.program = library(look, value)
            yield one
        else:
            yield from with_programs(look, one, [] if value == "internal-sftp" else None)
