"""The readers by the names that places have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_autorun.readers import (
    authentication,
    callers,
    containers,
    desktop,
    hooks,
    init,
    kernel,
    languages,
    loader,
    scripts,
    sources,
    storage,
    udev,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found
    from mig_autorun.readers.reading import Look

READERS: Mapping[str, Callable[[Found, Look], Iterator[Entry]]] = {
    "acpi": callers.acpi,
    "apt-conf": hooks.apt,
    "apt-sources": sources.apt,
    "audit-plugin": hooks.audit_plugin,
    "autofs": storage.autofs,
    "binfmt": kernel.binfmt,
    "binfmt-debian": kernel.binfmt_debian,
    "binfmt-registered": kernel.binfmt_registered,
    "command-line": kernel.command_line,
    "config": scripts.config,
    "credential": scripts.credential,
    "dbus-session": desktop.session_bus,
    "dbus-system": desktop.system_bus,
    "desktop": desktop.autostart,
    "dkms": kernel.dkms,
    "docker": containers.docker,
    "docker-daemon": containers.docker_daemon,
    "dpkg-conf": hooks.dpkg,
    "environment": loader.environment,
    "extension": scripts.extension,
    "fstab": storage.fstab,
    "git": languages.git,
    "incron": callers.incron,
    "inetd": init.inetd,
    "inittab": init.inittab,
    "interfaces": hooks.interfaces,
    "kernel-helper": kernel.helper,
    "ld-path": loader.library_path,
    "ld-preload": loader.preload,
    "lines": sources.plain,
    "logrotate": hooks.logrotate,
    "lxc": containers.lxc,
    "disk-monitor": callers.monitor,
    "modprobe": kernel.modprobe,
    "modules-load": kernel.modules_load,
    "nss": authentication.nss,
    "openrc": init.openrc,
    "package-script": scripts.package_script,
    "pacman-hook": hooks.pacman,
    "pam": authentication.pam,
    "pam-conf": authentication.pam_conf,
    "podman": containers.podman,
    "python": languages.python,
    "python-plugin": scripts.plugin,
    "quadlet": containers.quadlet,
    "rsyslog": hooks.rsyslog,
    "runit": init.runit,
    "script": scripts.script,
    "shell": scripts.script,
    "shell-commands": scripts.script,
    "ssh": authentication.ssh,
    "sshd": authentication.sshd,
    "sudo-conf": callers.sudo,
    "supervisor": init.supervisor,
    "sysctl": kernel.sysctl,
    "systemd-environment": loader.manager_environment,
    "sysv": init.sysv,
    "sysv-links": init.sysv_link,
    "tmpfiles": hooks.tmpfiles,
    "udev": udev.rules,
    "upstart": init.upstart,
    "vpn": callers.vpn,
    "xinetd": init.xinetd,
    "yum-sources": sources.yum,
}
"""Those of units, cron tables and eBPF are with ``survey``, for they need more than one file."""
