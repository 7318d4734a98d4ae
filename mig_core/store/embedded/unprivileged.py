"""Runs PostgreSQL as somebody other than root, because PostgreSQL refuses to be root.

Used by :mod:`mig_core.store.embedded.server`. An ordinary user needs nothing. Root has two ways, tried in this order:

1. a user namespace (``unshare``, user_namespaces(7)): the program sees itself as *nobody* while the kernel still sees
   root, so files keep root as their owner and every folder root can enter is reachable;
2. another account (``setpriv``): where namespaces are switched off, as in most containers, or where the state directory
   already belongs to that account. The account must be able to enter every folder above the state directory.

The programs are part of util-linux, which every Linux distribution installs.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

PREFERRED_ACCOUNTS = ("nobody", "daemon")
"""Accounts that every system has. initdb insists that its own user id has a name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who PostgreSQL runs as. ``uid`` and ``gid`` are what the kernel sees: they own the files."""

    uid: int
    gid: int
    namespace: tuple[str, ...] = ()
    account: tuple[str, ...] = ()

    def command(self, argv: list[str], *, pdeathsig: str = "") -> list[str]:
        """``argv`` wrapped so that it runs as this identity; the wrappers replace themselves, so the pid stays.

        Args:
            argv: Program and arguments.
            pdeathsig: Signal name (``INT``) that the kernel sends to it when the thread that started it ends.
        """
        options = [*self.account]
        if pdeathsig:
            options += ["--pdeathsig", pdeathsig]
        inner = ["setpriv", *options, *argv] if options else argv
        return [*self.namespace, *inner]

    def own(self, path: Path) -> None:
        """Make ``path`` (a folder that exists) belong to this identity and private to it.

        Raises:
            StoreUnavailable: it belongs to somebody else and cannot be changed.
        """
        try:
            status = path.stat()
            if (status.st_uid, status.st_gid) != (self.uid, self.gid) and os.geteuid() == 0:
                os.chown(path, self.uid, self.gid)
            path.chmod(0o700)
        except OSError as error:
            raise StoreUnavailable(
                f"{path}: cannot be made private: {error.strerror}",
                next_step="choose another state directory, or run as the account that owns this one",
            ) from error


def unprivileged_identity(state_dir: Path) -> Identity:
    """Who should run a server whose files live in ``state_dir`` (which exists).

    Raises:
        StoreUnavailable: this process is root and no other account could use the folder.
    """
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid())
    owner = state_dir.stat()
    if owner.st_uid != 0:
        return _as_account(owner.st_uid, owner.st_gid, state_dir)
    account = _some_account()
    namespace = ("unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}")
    if _succeeds([*namespace, "true"]):
        return Identity(0, 0, namespace=namespace)
    os.chown(state_dir, account.pw_uid, account.pw_gid)
    return _as_account(account.pw_uid, account.pw_gid, state_dir)


def _as_account(uid: int, gid: int, state_dir: Path) -> Identity:
    identity = Identity(uid, gid, account=(f"--reuid={uid}", f"--regid={gid}", "--clear-groups"))
    if not _succeeds(identity.command(["test", "-w", str(state_dir)])):
        raise StoreUnavailable(
            f"{state_dir}: PostgreSQL does not run as root, and user id {uid} cannot enter this folder",
            next_step="choose a state directory that others may enter the parents of (below /var/lib or /tmp), "
            "or start as an ordinary user",
        )
    return identity


def _some_account() -> pwd.struct_passwd:
    for name in PREFERRED_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    for entry in pwd.getpwall():
        if entry.pw_uid != 0:
            return entry
    raise StoreUnavailable(
        "PostgreSQL does not run as root, and this system has no other account", next_step="start as an ordinary user"
    )


def _succeeds(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
