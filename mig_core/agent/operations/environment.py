"""The environment facts: what targets can ask about an endpoint without running anything on it.

Gathered in a child of the zygote (psutil and plugins' hooks stay out of the agent's own process). No fact is
compulsory: what cannot be found out is left out.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import platform
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from mig_core.domain.addresses import address_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)

MAX_ADDRESSES = 256
_LOOKUP_SECONDS = 3.0
_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv7l": "arm",
    "armv6l": "arm",
}
"""``uname -m`` -> the word the original's targets use."""


def gather_environment(name: str, hooks: Any = None) -> dict[str, JSON]:
    """``{"name": …, "version": …, "environment": {…}}``.

    Args:
        name: the configured name; empty: the host's.
        hooks: pluggy's hook caller for ``mig_agent_environment``, or None.
    """
    facts: dict[str, JSON] = {}
    sources: tuple[tuple[str, Callable[[], JSON]], ...] = (
        ("os", _operating_system),
        ("arch", _architecture),
        ("ident", _ident),
        ("init", _init),
        ("addresses", _addresses),
        ("kernel", platform.release),
        ("container", _container),
    )
    for key, source in sources:
        try:
            value = source()
        except Exception as error:  # a strange machine must not be an unreachable one
            log.info("the fact %s is not available: %s", key, error)
            continue
        if value not in (None, ""):
            facts[key] = value
    if hooks is not None:
        facts.update(_ask_hooks(hooks, facts))
    return {"name": name or host_name(), "version": installed_version(), "environment": facts}


def installed_version() -> str:
    """The version of mig-core; ``unknown`` when it runs from files that pip does not know."""
    from importlib.metadata import PackageNotFoundError, version  # costs more than all the rest

    try:
        return version("mig-core")
    except PackageNotFoundError:
        return "unknown"


def host_name() -> str:
    """The kernel's name if it has a dot, else the qualified name if it begins with the kernel's, else the kernel's."""
    short = socket.gethostname()
    if "." in short:
        return short
    found: list[str] = []
    # A name server that does not answer may keep this waiting for half a minute.
    lookup = threading.Thread(target=lambda: found.append(socket.getfqdn(short)), daemon=True)
    lookup.start()
    lookup.join(_LOOKUP_SECONDS)
    return found[0] if found and found[0].partition(".")[0] == short else short or "localhost"


def _ask_hooks(hooks: Any, facts: dict[str, JSON]) -> dict[str, JSON]:
    added: dict[str, JSON] = {}
    for implementation in hooks.mig_agent_environment.get_hookimpls():
        try:
            answer = implementation.function(environment=dict(facts))
        except Exception as error:  # documented: a hook that raises has not answered
            log.warning("the environment hook of %s failed: %s", implementation.plugin_name, error)
            continue
        added.update(answer or {})
    return added


def _operating_system() -> str:
    return "windows" if sys.platform == "win32" else sys.platform


def _architecture() -> str:
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def _ident() -> str:
    """Like ``Debian 12 bookworm`` (os-release(5))."""
    release = platform.freedesktop_os_release()
    name = release.get("NAME", "").removesuffix(" GNU/Linux")
    return " ".join(part for part in (name, release.get("VERSION_ID"), release.get("VERSION_CODENAME")) if part)


def _init() -> str:
    with open("/proc/1/comm", encoding="utf-8", errors="replace") as file:
        program = file.read(64).strip()
    if program != "init":
        return program
    return "upstart" if os.path.isdir("/etc/init") and os.path.exists("/sbin/initctl") else "sysvinit"


def _addresses() -> JSON:
    import psutil

    texts: list[JSON] = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ipaddress.ip_address(entry.address.partition("%")[0])
            if address.is_loopback:
                continue
            bits = int(ipaddress.ip_address(entry.netmask)).bit_count() if entry.netmask else address.max_prefixlen
            texts.append(f"{address_text(address)}/{bits}")
    return texts[:MAX_ADDRESSES]


def _container() -> str:
    if os.path.exists("/.dockerenv"):
        return "docker"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    try:
        with open("/run/systemd/container", encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except OSError:
        return ""
