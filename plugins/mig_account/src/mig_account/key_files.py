"""Whether sshd would read a file of keys for an account: whose it and the directories above it are, and who may write.

StrictModes as Debian's sshd has it (misc.c ``safe_path``, with Debian's patch: a group that nobody else is in may
write); and sshd reads the file as the account itself.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Account


def why_not_read(ground: Ground, directory: Directory, account: Account, path: str, *, strict: bool) -> str:
    """Why sshd would not take the keys of a file that is there; empty when it would.

    Raises:
        OSError: that cannot be found out.
    """
    real = ground.tree.real(path)
    status = os.lstat(real)
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if account.uid and not _may(status, account, directory, 4):
        return "a file that the account itself may not read"
    home = _real_home(ground, account)
    above = _above(ground.tree.root, real)
    if account.uid and not all(_may(os.lstat(one), account, directory, 1) for one in above):
        return "a directory that the account itself may not enter"
    if not strict:
        return ""
    for one in (real, *above):
        if problem := _unsafe(os.lstat(one), account, directory):
            return f"{problem}: {ground.tree.named(one)}"
        if one == home:
            break
    return ""


def _real_home(ground: Ground, account: Account) -> str:
    try:
        return ground.tree.real(account.home)
    except OSError:
        return ""


def _above(root: str, real: str) -> list[str]:
    """The directories above a path, up to the root of its system."""
    found = []
    while real not in (root, "/", ""):
        real = real.rpartition("/")[0] or "/"
        found.append(real)
    return found


def _unsafe(status: os.stat_result, account: Account, directory: Directory) -> str:
    if status.st_uid not in (0, account.uid):
        return f"of user id {status.st_uid}"
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, account, directory):
        return "its group may write"
    return ""


def _is_private(gid: int, account: Account, directory: Directory) -> bool:
    """Whether nobody but the account is in a group, and root's own group."""
    if gid == 0:
        return True
    members = {name for group in directory.by_gid.get(gid, ()) for name in directory.everybody_in(group)}
    return members <= {account.name}


def _may(status: os.stat_result, account: Account, directory: Directory, bit: int) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & (bit << 6))
    if status.st_gid == account.gid or directory.group_name(status.st_gid) in directory.groups_of(account):
        return bool(status.st_mode & (bit << 3))
    return bool(status.st_mode & bit)
