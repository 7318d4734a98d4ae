"""An alert as what rules ask about: one or several events, each of a kind, with Sigma's names for its fields.

The table in the manual says where each field is from. Alerts are hostile in their texts, and come from modules of other
versions: what is missing or of another type is left out.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any, NamedTuple

from mig_sigma import auditd, catalogue
from mig_sigma.conditions import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_sigma.alert import Alert
    from mig_sigma.lineage import Ancestor

    Value = str | tuple[str, ...]

_AT_CWD = {"0xffffff9c", "0xffffffffffffff9c"}
_FLAGS_OF = {"open": 1, "openat": 2}
"""Call -> which argument holds the flags."""
_WRITES, _CREATES = 3, 0o100 | 0o1000
"""O_ACCMODE; O_CREAT and O_TRUNC (asm-generic/fcntl.h)."""
_RENAMES = frozenset({"rename", "renameat", "renameat2"})
_STARTS = frozenset({"execve", "execveat"})


class Event(NamedTuple):
    """One event."""

    kind: str
    facts: Facts


def events_of(
    module: str, alert: Alert, wanted: frozenset[str], records: frozenset[str] | None, hostname: str
) -> Iterator[Event]:
    """The events of an alert, but for programs that start (:func:`program`).

    Args:
        module: whose alert it is.
        wanted: kinds that are asked about; others are not made.
        records: types of audit records that are asked about; None: all.
        hostname: this endpoint's.
    """
    if module == "audit":
        yield from _of_audit(alert, wanted, records, hostname)
    else:
        yield from _of_changes(alert, wanted, hostname)


def _of_audit(alert: Alert, wanted: frozenset[str], records: frozenset[str] | None, hostname: str) -> Iterator[Event]:
    if wanted & _FILES and alert.result():
        yield from _files(alert, wanted, hostname)
    if catalogue.NETWORK in wanted:
        made = _connection(alert, hostname)
        if made is not None:
            yield Event(catalogue.NETWORK, Facts(made))
    if catalogue.AUDITD in wanted:
        for facts in auditd.records(alert, records):
            yield Event(catalogue.AUDITD, facts)
    if catalogue.ANY in wanted:
        yield Event(catalogue.ANY, Facts({}, tuple([text for one in auditd.records(alert) for text in one.texts()])))


_FILES = frozenset({catalogue.FILE, catalogue.FILE_DELETE, catalogue.FILE_RENAME})


def _who(process: Mapping[str, Any], user: object, time: str | None, hostname: str) -> dict[str, Value]:
    made: dict[str, Value] = {"Computer": hostname}
    for field, value in (
        ("Image", process.get("exe")),
        ("ProcessId", process.get("pid")),
        ("User", user),
        ("UtcTime", time),
    ):
        if value is not None:
            made[field] = str(value)
    return made


def _actor(alert: Alert, hostname: str) -> dict[str, Value]:
    user = alert.get("user") or {}
    name = user.get("euid_name") or user.get("uid_name") or user.get("euid")
    return _who(alert.get("process") or {}, name, alert.time(), hostname)


def program(
    process: Mapping[str, Any], parent: Ancestor | None, user: str | None, time: str | None, hostname: str
) -> dict[str, Value]:
    """The fields of a program that starts."""
    made = _who(process, user, time, hostname)
    if isinstance(process.get("arguments"), list):
        made["CommandLine"] = " ".join(map(str, process["arguments"]))
    for field, value in (
        ("CurrentDirectory", process.get("cwd")),
        ("ParentProcessId", process.get("ppid")),
        ("TerminalSessionId", process.get("session")),
    ):
        if value is not None:
            made[field] = str(value)
    if parent is not None:
        made["ParentImage"], made["ParentCommandLine"] = parent.program, parent.command
        if parent.user:
            made["ParentUser"] = parent.user
    return made


def _files(alert: Alert, wanted: frozenset[str], hostname: str) -> Iterator[Event]:
    call = alert.get("syscall") or {}
    name = str(call.get("name"))
    if name in _STARTS:
        return
    created, removed = _touched(alert, call, name)
    who = _actor(alert, hostname) if created or removed else {}
    for full in created if catalogue.FILE in wanted else ():
        yield Event(catalogue.FILE, Facts({**who, "TargetFilename": full}))
    if name in _RENAMES:
        if created and removed and catalogue.FILE_RENAME in wanted:
            # The target that a rename replaces is told as removed, too: the source is the first.
            fields = {**who, "TargetFilename": created[-1], "SourceFilename": removed[0]}
            yield Event(catalogue.FILE_RENAME, Facts(fields))
        return
    for full in removed if catalogue.FILE_DELETE in wanted else ():
        yield Event(catalogue.FILE_DELETE, Facts({**who, "TargetFilename": full}))


def _touched(alert: Alert, call: Mapping[str, Any], name: str) -> tuple[list[str], list[str]]:
    """The paths of what a call has made (or emptied, to write to it), and of what it has removed."""
    folder = str((alert.get("process") or {}).get("cwd") or "")
    if name.startswith("openat") and (call.get("args") or [""])[0] not in _AT_CWD:
        folder = ""  # it is relative to a directory whose name is not told
    writes = _opened_to_write(name, call)
    created, removed = [], []
    for path in alert.get("paths") or ():
        if not isinstance(path, dict) or not isinstance(path.get("name"), str):
            continue
        full = os.path.normpath(os.path.join(folder, path["name"]))
        if path.get("type") == "CREATE" or (path.get("type") == "NORMAL" and writes):
            created.append(full)
        elif path.get("type") == "DELETE":
            removed.append(full)
    return created, removed


def _opened_to_write(name: str, call: Mapping[str, Any]) -> bool:
    """Whether the call opens a file and makes it new or empty."""
    if name in ("creat", "truncate"):
        return True
    arguments = call.get("args") or []
    place = _FLAGS_OF.get(name, -1)
    if not 0 <= place < len(arguments):
        return False
    try:
        flags = int(str(arguments[place]), 16)
    except ValueError:
        return False
    return bool(flags & _WRITES and flags & _CREATES)


def _connection(alert: Alert, hostname: str) -> dict[str, Value] | None:
    address, call = alert.get("address"), alert.get("syscall") or {}
    if not isinstance(address, dict) or address.get("family") not in ("inet", "inet6"):
        return None
    if alert.result() is not True and call.get("error") != "EINPROGRESS":
        return None
    name = str(call.get("name"))
    outward = name == "connect"
    if not outward and not name.startswith("accept"):
        return None
    text = str(address.get("address")).removeprefix("::ffff:")
    side = "Destination" if outward else "Source"
    return {
        **_actor(alert, hostname),
        f"{side}Ip": text,
        f"{side}Port": str(address.get("port")),
        f"{side}IsIpv6": "true" if ":" in text else "false",
        "Initiated": "true" if outward else "false",
    }


_CHANGES = {
    "new": (catalogue.FILE,), "changed": (catalogue.FILE, catalogue.FILE_CHANGE),
    "removed": (catalogue.FILE_DELETE,), "moved": (catalogue.FILE, catalogue.FILE_RENAME),
    "mode": (catalogue.FILE_CHANGE,), "owner": (catalogue.FILE_CHANGE,), "times": (catalogue.FILE_CHANGE,),
    "attributes": (catalogue.FILE_CHANGE,), "passing": (catalogue.FILE, catalogue.FILE_DELETE),
}  # fmt: skip
"""Kinds of changes that ``fswatch`` tells -> kinds of events."""


def _of_changes(alert: Alert, wanted: frozenset[str], hostname: str) -> Iterator[Event]:
    whole = alert.whole()
    listed = whole.get("changes")
    for change in listed if isinstance(listed, list) else [whole]:
        if not isinstance(change, dict) or not isinstance(change.get("path"), str):
            continue
        by: Any = change.get("by")
        by = by if isinstance(by, dict) else {}
        process = {"exe": _known(by.get("executable")), "pid": by.get("pid")}
        fields = _who(process, _known(by.get("user")), alert.time(), hostname)
        fields["TargetFilename"] = change["path"]
        if isinstance(change.get("from"), str):
            fields["SourceFilename"] = change["from"]
        for kind in _CHANGES.get(str(change.get("change")), ()):
            if kind in wanted:
                yield Event(kind, Facts(fields))


def _known(value: object) -> object:
    return None if value == "unknown" else value
