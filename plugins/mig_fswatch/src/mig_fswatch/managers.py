"""Package managers: which programs they are, and where they keep what is installed.

Sources: the packages dpkg, apt, rpm, dnf, yum, microdnf, zypper, apk-tools and pacman. Being one is a reason to fold
what it changes into a summary, never to leave anything out: whoever takes on a manager's name gains nothing by it.
"""

from __future__ import annotations

import os

PROGRAMS = {
    "dpkg": "dpkg", "dpkg-deb": "dpkg", "dpkg-divert": "dpkg", "dpkg-statoverride": "dpkg", "dpkg-trigger": "dpkg",
    "dpkg-preconfigure": "dpkg", "apt": "apt", "apt-get": "apt", "aptitude": "apt", "aptitude-curses": "apt",
    "unattended-upgrade": "apt", "rpm": "rpm", "rpmdb": "rpm", "dnf": "dnf", "dnf-3": "dnf", "dnf5": "dnf",
    "dnf5daemon-server": "dnf", "microdnf": "dnf", "yum": "dnf", "tdnf": "dnf", "zypper": "zypper", "apk": "apk",
    "pacman": "pacman",
}  # fmt: skip
"""Name of a program -> the manager's."""
FOLDERS = frozenset(("/bin", "/sbin", "/usr/bin", "/usr/sbin"))
"""Where they are: a file of that name in /tmp is none of them."""
DATABASES = {
    "/var/lib/dpkg": "dpkg",
    "/var/lib/dpkg/info": "dpkg",
    "/var/lib/dpkg/updates": "dpkg",
    "/var/lib/rpm": "rpm",
    "/usr/lib/sysimage/rpm": "rpm",
    "/lib/apk/db": "apk",
    "/usr/lib/apk/db": "apk",
    "/var/lib/pacman": "pacman",
    "/var/lib/pacman/local": "pacman",
}
"""Directories in which they note what is installed; anything that happens there is a run."""
_INTERPRETERS = ("python", "perl", "platform-python")


def is_interpreter(executable: str) -> bool:
    """Whether the program runs scripts that managers are written in."""
    return os.path.basename(executable).startswith(_INTERPRETERS)


def of_program(executable: str) -> str:
    """The manager that a program is; empty if none. A program that was replaced meanwhile is still itself."""
    folder, name = os.path.split(executable.removesuffix(" (deleted)"))
    return PROGRAMS.get(name, "") if folder in FOLDERS else ""


def of_script(path: str) -> str:
    """The manager that a script is (the interpreter's first argument); empty if none."""
    return of_program(path)
