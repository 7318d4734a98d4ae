"""The fields of audit rules: names, numbers, and how each one's value is read. Shared by both rule syntaxes.

Sources: ``linux/audit.h`` (AUDIT_PID and following, AUDIT_COMPARE_*) and auditctl(8).
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from typing import TYPE_CHECKING

from mig_audit import rule, tables

if TYPE_CHECKING:
    from collections.abc import Callable

UNSET = 0xFFFFFFFF

NUMBERS = {
    "pid": 0, "uid": 1, "euid": 2, "suid": 3, "fsuid": 4, "gid": 5, "egid": 6, "sgid": 7, "fsgid": 8,
    "auid": 9, "loginuid": 9, "pers": 10, "arch": 11, "msgtype": 12, "subj_user": 13, "subj_role": 14,
    "subj_type": 15, "subj_sen": 16, "subj_clr": 17, "ppid": 18, "obj_user": 19, "obj_role": 20, "obj_type": 21,
    "obj_lev_low": 22, "obj_lev_high": 23, "sessionid": 25, "fstype": 26, "devmajor": 100, "devminor": 101,
    "inode": 102, "exit": 103, "success": 104, "path": 105, "perm": 106, "dir": 107, "filetype": 108,
    "obj_uid": 109, "obj_gid": 110, "field_compare": 111, "exe": 112, "saddr_fam": 113,
    "a0": 200, "a1": 201, "a2": 202, "a3": 203, "key": 210,
}  # fmt: skip

USERS = {"uid", "euid", "suid", "fsuid", "auid", "loginuid", "obj_uid"}
GROUPS = {"gid", "egid", "sgid", "fsgid", "obj_gid"}
STRINGS = {name for name in NUMBERS if name.startswith(("subj_", "obj_"))} - {"obj_uid", "obj_gid"}
PATHS = {"path", "dir", "exe"}
TEXTS = STRINGS | PATHS | {"key"}
EXIT_ONLY = {
    "devmajor", "devminor", "inode", "exit", "success", "path", "perm", "dir", "filetype", "obj_uid", "obj_gid",
    "obj_user", "obj_role", "obj_type", "obj_lev_low", "obj_lev_high", "field_compare", "a0", "a1", "a2", "a3",
}  # fmt: skip
EQUALITY = TEXTS | {"arch", "perm", "filetype", "success", "field_compare", "fstype", "saddr_fam", "msgtype"}
"""Fields that are compared with = and != only (and of these some with = only)."""

FILE_TYPES = {
    "file": stat.S_IFREG, "dir": stat.S_IFDIR, "socket": stat.S_IFSOCK, "link": stat.S_IFLNK,
    "character": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO,
}  # fmt: skip
FILE_SYSTEMS = {"debugfs": 0x64626720, "tracefs": 0x74726163}

_COMPARED = (
    "uid-obj_uid gid-obj_gid euid-obj_uid egid-obj_gid auid-obj_uid suid-obj_uid sgid-obj_gid fsuid-obj_uid "
    "fsgid-obj_gid uid-auid uid-euid uid-fsuid uid-suid auid-fsuid auid-suid auid-euid euid-suid euid-fsuid suid-fsuid "
    "gid-egid gid-fsgid gid-sgid egid-fsgid egid-sgid sgid-fsgid"
)
COMPARISONS = {frozenset(pair.split("-")): number for number, pair in enumerate(_COMPARED.split(), 1)}
"""Pairs of fields that -C may compare -> AUDIT_COMPARE_*."""

_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})")


class AccountNumbers:
    """Turns names of users and groups in rules into numbers, on the machine it runs on."""

    def user(self, name: str) -> int:
        """The uid; raises ValueError when there is no such user."""
        import pwd

        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            raise ValueError(f"names the unknown user {name!r:.60}") from None

    def group(self, name: str) -> int:
        """The gid; raises ValueError when there is no such group."""
        import grp

        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            raise ValueError(f"names the unknown group {name!r:.60}") from None


class AnyAccount(AccountNumbers):
    """Takes every name: for checking rules where their users need not exist."""

    def user(self, name: str) -> int:
        """0."""
        return 0

    def group(self, name: str) -> int:
        """0."""
        return 0


def calls_of(filter_: int, arch: str) -> tuple[dict[str, int], str]:
    """The numbers that names behind ``-S`` stand for in a list, and what such a name is.

    The io_uring list is asked with the number of the operation, not with that of the call of the same name
    (``audit_uring_entry`` in kernel/auditsc.c): a rule with the latter is loaded and matches nothing.
    """
    if filter_ == rule.FILTERS["io_uring"]:
        return tables.operation_numbers(), "operation of io_uring"
    return tables.syscall_numbers(arch), "system call"


def read(name: str, operator: str, text: str, accounts: AccountNumbers, *, filter_: int) -> rule.Field:
    """A condition.

    Args:
        operator: one of ``rule.OPERATORS``.
        filter_: the list it is meant for; some fields make sense in one only.

    Raises:
        ValueError: with the problem, without the field's name.
    """
    if name not in NUMBERS:
        raise ValueError("is not a known field")
    if operator not in rule.OPERATORS:
        raise ValueError(f"has the unknown operator {operator!r:.20}")
    if name in EQUALITY and operator not in ("=", "!="):
        raise ValueError(f"cannot be compared with {operator}")
    if name in ("perm", "key", "dir") and operator != "=":
        raise ValueError("can only be compared with =")
    if name in EXIT_ONLY and filter_ not in (rule.FILTERS["exit"], rule.FILTERS["io_uring"]):
        raise ValueError("belongs in the exit list only")
    if name == "msgtype" and filter_ not in (rule.FILTERS["exclude"], rule.FILTERS["user"]):
        raise ValueError("belongs in the lists exclude and user only")
    if name == "fstype" and filter_ != rule.FILTERS["filesystem"]:
        raise ValueError("belongs in the list filesystem only")
    return rule.Field(NUMBERS[name], rule.OPERATORS[operator], _value(name, text, accounts))


def comparison(left: str, operator: str, right: str) -> rule.Field:
    """A comparison of two fields.

    Raises:
        ValueError: these two cannot be compared.
    """
    names = frozenset("auid" if one == "loginuid" else one for one in (left, right))
    if names not in COMPARISONS:
        raise ValueError(f"cannot compare {left!r:.30} with {right!r:.30}")
    if operator not in ("=", "!="):
        raise ValueError("compares with = or != only")
    return rule.Field(NUMBERS["field_compare"], rule.OPERATORS[operator], COMPARISONS[names])


def permissions(text: str) -> int:
    """The bits of ``rwxa``.

    Raises:
        ValueError: another letter, none, or too many.
    """
    bits = 0
    for letter in text.lower():
        if letter not in rule.PERMISSIONS:
            raise ValueError(f"may hold the letters r w x a, got {text!r:.20}")
        bits |= rule.PERMISSIONS[letter]
    if not 1 <= len(text) <= 4:
        raise ValueError("must have one to four of the letters r w x a")
    return bits


def path(text: str, what: str = "") -> str:
    """An absolute path as the kernel wants it, without a slash at its end."""
    if not text.startswith("/"):
        raise ValueError(f"{what}must be an absolute path, got {text!r:.80}")
    if ".." in text.split("/"):
        raise ValueError(f"{what}must not contain .., got {text!r:.80}")
    if "\0" in text or len(os.fsencode(text)) >= rule.MAX_STRING:
        raise ValueError(f"{what}must be shorter than {rule.MAX_STRING} bytes and without NUL")
    if len(os.fsencode(os.path.basename(text.rstrip("/")))) > 255:
        raise ValueError(f"{what}has a last part longer than 255 bytes")
    return text.rstrip("/") or "/"


def key(text: str) -> str:
    """A key, checked."""
    if not text or len(text.encode("utf-8", "surrogateescape")) > rule.MAX_KEY or "\0" in text:
        raise ValueError(f"must have 1 to {rule.MAX_KEY} bytes")
    return text


def _value(name: str, text: str, accounts: AccountNumbers) -> int | str:
    readers: dict[str, Callable[[str], int | str]] = {
        "arch": _arch, "msgtype": _type, "exit": _exit, "success": _success, "perm": permissions, "key": key,
        "filetype": _choice(FILE_TYPES), "fstype": _choice(FILE_SYSTEMS), "saddr_fam": _family,
    }  # fmt: skip
    if name in readers:
        return readers[name](text)
    if name in PATHS:
        return path(text)
    if name in STRINGS:
        if not text or len(text) > 1024 or "\0" in text:
            raise ValueError("must have 1 to 1024 characters")
        return text
    if name in USERS | GROUPS or name == "sessionid":
        if text in ("unset", "-1"):
            return UNSET
        if not _NUMBER.fullmatch(text) and name != "sessionid":
            return accounts.user(text) if name in USERS else accounts.group(text)
    return number(text)


def number(text: str) -> int:
    """A whole number of 32 bits, decimal or hexadecimal.

    Raises:
        ValueError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a number, got {text!r:.60}")
    value = int(text, 0) if "x" in text.lower() else int(text)
    if not -(1 << 31) <= value < 1 << 32:
        raise ValueError(f"must fit into 32 bits, got {text}")
    return value


def _choice(choices: dict[str, int]) -> Callable[[str], int]:
    def chosen(text: str) -> int:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, got {text!r:.60}")
        return choices[text]

    return chosen


def _arch(text: str) -> int:
    native = tables.native()
    name = {"b64": native, "b32": tables.narrow(native)}.get(text.lower(), text)
    if name in tables.NUMBERS:
        return tables.NUMBERS[name]
    if _NUMBER.fullmatch(text) and number(text) in tables.ARCHITECTURES:
        return number(text)
    raise ValueError(f"must be b64, b32 or an architecture's name, got {text!r:.60}")


def _type(text: str) -> int:
    return tables.type_numbers().get(text) or number(text)


def _exit(text: str) -> int:
    name = text.removeprefix("-")
    for code, symbol in errno.errorcode.items():
        if symbol == name:
            return -code if text.startswith("-") else code
    return number(text)


def _success(text: str) -> int:
    return _choice({"1": 1, "yes": 1, "0": 0, "no": 0})(text)


def _family(text: str) -> int:
    known = {"inet": int(socket.AF_INET), "inet6": int(socket.AF_INET6), "local": 1, "unix": 1, "netlink": 16}
    return known[text] if text in known else number(text)
