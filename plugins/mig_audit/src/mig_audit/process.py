"""Who did it: the process and the user of an event, from the fields of any record."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_audit import accounts
from mig_audit.record import number, text

if TYPE_CHECKING:
    from mig_audit.accounts import Accounts
    from mig_core.domain.document import JSON

_PROCESS = {
    "pid": "pid",
    "ppid": "ppid",
    "comm": "name",
    "exe": "exe",
    "tty": "tty",
    "ses": "session",
    "subj": "subject",
}
_NUMBERS = {"pid", "ppid", "ses"}
_GOOD, _BAD = {"yes", "success", "1", "granted", "ALLOWED"}, {"no", "failed", "0", "denied", "DENIED"}
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo", stat.S_IFBLK: "block", stat.S_IFCHR: "character",
}  # fmt: skip


def of_call(pid: int, ppid: int, fields: dict[str, str]) -> dict[str, JSON]:
    """The process in a SYSCALL record.

    Raises:
        KeyError: a field is missing.
    """
    comm, exe, tty, session = fields["comm"], fields["exe"], fields["tty"], fields["ses"]
    made: dict[str, JSON] = {
        "pid": pid,
        "ppid": ppid,
        "name": comm[1:-1] if comm[0] == '"' else text(comm),
        "exe": exe[1:-1] if exe[0] == '"' else text(exe),
        "tty": None if tty == "(none)" else tty,
        "session": None if session == "4294967295" else number(session),
    }
    if "subj" in fields and fields["subj"] != "unconfined":
        made["subject"] = fields["subj"]
    return made


def hoist(event: dict[str, JSON], fields: dict[str, str], names: Accounts) -> None:
    """Moves what says who did it from a record's fields to ``process`` and ``user`` of the event."""
    made: dict[str, JSON] = {}
    for theirs, ours in _PROCESS.items():
        if theirs not in fields or (theirs == "subj" and fields[theirs] == "unconfined"):
            continue
        value = fields.pop(theirs)
        if theirs in _NUMBERS:
            made[ours] = None if value == "4294967295" else number(value)
        elif theirs in ("comm", "exe"):
            made[ours] = text(value)
        else:
            made[ours] = None if value in ("(none)", "?", "(null)") else value
    if made:
        event["process"] = made
    user: dict[str, JSON] = {}
    for key in (*accounts.USER_KEYS, *accounts.GROUP_KEYS):
        if key in fields:
            who = number(fields.pop(key))
            if isinstance(who, int):
                names.put(user, key, who)
            else:
                user[key] = who
    if user:
        event["user"] = user


def result(fields: dict[str, JSON]) -> bool | None:
    """Whether what a record tells of succeeded; None when it does not say."""
    for key in ("res", "success", "seresult", "apparmor"):
        value = fields.get(key)
        if isinstance(value, str):
            if value in _GOOD:
                return True
            if value in _BAD:
                return False
    return None


def title(body: str) -> str | None:
    """The command line of a PROCTITLE record: its words, which end with NUL, with blanks between them."""
    written = body[body.find("=") + 1 :].rstrip()
    if written[:1] == '"' or written == "(null)":
        return text(written)
    try:
        data = bytes.fromhex(written)
    except ValueError:
        return written
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")


def file_kind(mode: str) -> str:
    """``file``, ``directory`` and so on, of a mode in octal."""
    try:
        return _KINDS.get(stat.S_IFMT(int(mode, 8)), "other")
    except (ValueError, OverflowError):
        return "other"
