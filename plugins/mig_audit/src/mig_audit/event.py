"""Makes one JSON event of the records of one serial. The schema is in ``docs/modules/audit.md``.

Called once for every event, so its common path (a system call with paths) is written for speed: ``split`` instead of
regular expressions, combinations of ids and whole PATH records remembered. Anything unusual takes the slow path, which
is total.
"""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from mig_audit import accounts, address, execve, process, size, tables, whole
from mig_audit.record import REMEMBERED, decoded, number, pairs, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_audit.accounts import Accounts
    from mig_audit.container import Groups
    from mig_core.domain.document import JSON

SCHEMA = 1
MAX_TEXT = 250_000
"""Characters of records, and again of raw text, that go into an event; what is left out is counted in ``cut``."""

_SYSCALL, _PATH, _CWD, _SOCKADDR, _EXECVE, _PROCTITLE, _SECCOMP = 1300, 1302, 1307, 1306, 1309, 1327, 1326
_URINGOP = whole.URINGOP
_IDS = itemgetter(*accounts.USER_KEYS, *accounts.GROUP_KEYS)
_TAKEN = frozenset(
    {
        "arch", "syscall", "success", "exit", "a0", "a1", "a2", "a3", "items", "ppid", "pid", "tty", "ses", "comm",
        "exe", "subj", "key", *accounts.USER_KEYS, *accounts.GROUP_KEYS,
    }
)  # fmt: skip


class Events:
    """Makes events."""

    def __init__(self, names: Accounts, groups: Groups | None, *, include_raw: bool = False) -> None:
        """Prepares.

        Args:
            names: for the names of users and groups.
            groups: for hints at containers; None: no hints.
            include_raw: whether events carry their records' text.
        """
        self._names = names
        self._groups = groups
        self._include_raw = include_raw
        self._second = ("", "")
        self._excluded: frozenset[int] = frozenset()
        self._missing = whole.reader()
        # Per instance, because a PATH holds names of accounts.
        self._path: Callable[[str], dict[str, JSON]] = lru_cache(maxsize=4096)(self._read_path)
        self._fields: Callable[[str], dict[str, JSON]] = lru_cache(maxsize=1024)(_read_fields)

    def exclude(self, excluded: frozenset[int]) -> None:
        """Tells which types of records a rule may keep out: those are not missing."""
        if excluded != self._excluded:
            self._excluded, self._missing = excluded, whole.reader(excluded)

    def make(self, stamp: str, records: Sequence[tuple[int, str]], *, complete: bool = True) -> dict[str, JSON]:
        """The event.

        Args:
            stamp: ``seconds.millis:serial`` of the records; empty when they have none.
            records: type and text of each, in order of arrival; not empty.
            complete: whether its end was seen. The event is complete if no record of its kind is missing, either.
        """
        # 1. What is known of every event.
        kinds = tuple([kind for kind, _text in records])
        seconds, _colon, serial = stamp.partition(":")
        event: dict[str, JSON] = {
            "schema": SCHEMA,
            "type": tables.type_name(kinds[0]),
            "time": self._time(seconds) if stamp else None,
            "serial": number(serial) if stamp else None,
            "complete": complete,
            "record_types": _type_names(kinds),
        }
        # 2. Records one by one: what stands for itself goes into the event, what needs others waits.
        paths: list[JSON] = []
        others: list[JSON] = []
        late: dict[str, JSON] = {}
        start = len(stamp) + 9 if stamp else 0  # "audit(" stamp "): "
        launched, used, items = self._records(event, records, start, paths, others, late)
        call = event.get("syscall")
        missing = self._missing(
            kinds,
            items,
            cast("str", cast("dict[str, JSON]", call)["name"]) if call else "",
            event.get("result") is True,
        )
        # 3. Arguments, however many EXECVE records they fill; they are bounded by themselves.
        if launched:
            length = sum(map(len, launched))
            words, cut, all_there = execve.arguments(launched)
            late["arguments"] = cast("JSON", words)
            late["command"] = execve.command(words)
            used += length
            if cut:
                size.count(event, "arguments", length)
            if not all_there:
                missing = tuple(sorted({*missing, "EXECVE"}))
        if missing:
            event["complete"], event["missing"] = False, list(missing)
        # 4. What belongs to the process and came in records of its own, or without a SYSCALL at all.
        if late:
            cast("dict[str, JSON]", event.setdefault("process", {})).update(late)
        if paths:
            event["paths"] = paths
        if others:
            event["records"] = others
        # 5. The text itself, where it is wanted.
        if self._include_raw:
            self._raw(event, records)
        # 6. What could be too long for the agent is measured, and cut.
        if used > size.SMALL or len(records) > size.FEW:
            size.fit(event)
        return event

    def _records(
        self,
        event: dict[str, JSON],
        records: Sequence[tuple[int, str]],
        start: int,
        paths: list[JSON],
        others: list[JSON],
        late: dict[str, JSON],
    ) -> tuple[list[str], int, str]:
        """Step 2. The bodies of EXECVE records, how many characters the others had, left out or not, and ``items``."""
        launched: list[str] = []
        used = 0
        items = ""
        for kind, written in records:
            body = written[start:]
            if kind == _EXECVE:
                launched.append(body)
                continue
            used += len(body)
            if used > MAX_TEXT:
                size.count(event, tables.type_name(kind), 1)
            elif kind == _SYSCALL and "syscall" not in event:
                items = self._syscall(event, body)
            elif kind == _PATH:
                read = self._path if len(body) <= REMEMBERED else self._read_path
                paths.append(cast("JSON", read(body)))
            elif kind == _CWD:
                late["cwd"] = _after(body, "cwd=")
            elif kind == _PROCTITLE:
                late["title"] = process.title(body)
            elif kind == _SOCKADDR and "address" not in event:
                event["address"] = address.read(body[body.find("=") + 1 :].rstrip())
            elif kind == _URINGOP:
                others.append(self._operation(event, body))
                items = items or str(cast("dict[str, dict[str, str]]", others[-1])["fields"].get("items", ""))
            else:
                others.append(self._other(event, kind, body, first=not others))
        return launched, used, items

    def _raw(self, event: dict[str, JSON], records: Sequence[tuple[int, str]]) -> None:
        total = 0
        kept: list[JSON] = []
        for kind, written in records:
            total += len(written)
            if total > MAX_TEXT:
                size.count(event, "raw", len(written))
                continue
            kept.append(f"type={tables.type_name(kind)} msg={written}")
        event["raw"] = kept

    def _time(self, seconds: str) -> str:
        whole, _dot, millis = seconds.partition(".")
        if whole != self._second[0]:
            try:
                shown = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(whole)))
            except (ValueError, OverflowError, OSError):
                shown = whole
            self._second = (whole, shown)
        return f"{self._second[1]}.{millis or '000'}Z"

    def _syscall(self, event: dict[str, JSON], body: str) -> str:
        """Reads the record; the number of paths it announces, as it is written."""
        try:
            fields = dict([word.split("=", 1) for word in body.rstrip().split(" ")])  # no "=": ValueError
            self._call(event, fields)
        except (KeyError, ValueError):
            fields = pairs(body)
            self._odd_call(event, dict(fields))
        return fields.get("items", "")

    def _call(self, event: dict[str, JSON], fields: dict[str, str]) -> None:
        user = self._names.combined(_IDS(fields))
        code = int(fields["syscall"])
        arch, name = tables.syscall(int(fields["arch"], 16), code)
        call: dict[str, JSON] = {
            "name": name,
            "number": code,
            "arch": arch,
            "args": [f"0x{fields['a0']}", f"0x{fields['a1']}", f"0x{fields['a2']}", f"0x{fields['a3']}"],
        }
        success = fields.get("success")
        event["result"] = None if success is None else success == "yes"
        if "exit" in fields:
            value = int(fields["exit"])
            call["exit"] = value
            if value < 0 and success == "no":
                call["error"] = tables.error_name(value)
        pid, ppid = int(fields["pid"]), int(fields["ppid"])
        made = process.of_call(pid, ppid, fields)
        if not fields.keys() <= _TAKEN:
            call.update({key: text(value) for key, value in fields.items() if key not in _TAKEN})
        if self._groups is not None:
            made.update(self._groups.of(pid, ppid))
        _keys(event, fields.get("key", "(null)"))
        event["syscall"] = call
        event["process"] = made
        event["user"] = cast("JSON", user)

    def _odd_call(self, event: dict[str, JSON], fields: dict[str, str]) -> None:
        """A SYSCALL record that is cut short or has blanks where none should be."""
        arch, code = fields.pop("arch", ""), number(fields.get("syscall", ""))
        call: dict[str, JSON] = {"name": str(code), "number": code, "arch": arch}
        if isinstance(code, int):
            with contextlib.suppress(ValueError):  # then the text that was there stays
                call["arch"], call["name"] = tables.syscall(int(arch, 16), code)
        call["args"] = [f"0x{fields.pop(key)}" for key in ("a0", "a1", "a2", "a3") if key in fields]
        event["result"] = None if "success" not in fields else fields.pop("success") == "yes"
        if "exit" in fields:
            call["exit"] = number(fields.pop("exit"))
        fields.pop("syscall", None)
        _keys(event, fields.pop("key", "(null)"))
        process.hoist(event, fields, self._names)
        call.update(decoded(fields))
        event["syscall"] = call

    def _operation(self, event: dict[str, JSON], body: str) -> dict[str, JSON]:
        """An operation of io_uring. Its ``success`` and ``exit`` tell of its beginning, not of what became of it."""
        fields = pairs(body)
        if "keys" not in event:
            _keys(event, fields.pop("key", "(null)"))
        if "process" not in event:
            process.hoist(event, fields, self._names)
        code = number(fields.get("uring_op", ""))
        known = tables.operations().get(code) if isinstance(code, int) else None
        event["operation"] = {"name": known or str(code), "number": code}
        event.setdefault("result", None)
        return {"type": tables.type_name(_URINGOP), "fields": cast("dict[str, JSON]", decoded(fields))}

    def _other(self, event: dict[str, JSON], kind: int, body: str, *, first: bool) -> dict[str, JSON]:
        if first and "process" not in event:
            fields = pairs(body)
            process.hoist(event, fields, self._names)
            shown = cast("dict[str, JSON]", decoded(fields))
            if kind == _SECCOMP and "syscall" in fields:
                self._seccomp(event, fields)
        else:
            shown = self._fields(body) if len(body) <= REMEMBERED else _read_fields(body)
        if first and "result" not in event:
            verdict = process.result(shown)
            if verdict is not None:
                event["result"] = verdict
        return {"type": tables.type_name(kind), "fields": shown}

    def _seccomp(self, event: dict[str, JSON], fields: dict[str, str]) -> None:
        code = number(fields["syscall"])
        with contextlib.suppress(ValueError):
            if isinstance(code, int):
                arch, name = tables.syscall(int(fields.get("arch", ""), 16), code)
                event["syscall"] = {"name": name, "number": code, "arch": arch}

    def _read_path(self, body: str) -> dict[str, JSON]:
        fields = pairs(body)
        made: dict[str, JSON] = {
            "item": number(fields.pop("item", "0")),
            "name": text(fields.pop("name", "(null)")),
            "type": fields.pop("nametype", "UNKNOWN"),
        }
        for ours, theirs in (("inode", "inode"), ("device", "dev"), ("mode", "mode"), ("rdev", "rdev")):
            if theirs in fields:
                value = fields.pop(theirs)
                made[ours] = number(value) if ours == "inode" else value
        if isinstance(mode := made.get("mode"), str):
            made["kind"] = process.file_kind(mode)
        for key, theirs in (("uid", "ouid"), ("gid", "ogid")):
            owner = number(fields.pop(theirs, ""))
            if isinstance(owner, int):
                self._names.put(made, key, owner)
        made.update(decoded({key: value for key, value in fields.items() if value != "0" or key[:4] != "cap_"}))
        return made


def removed_paths(event: dict[str, JSON]) -> list[str]:
    """The paths of rules that the kernel has removed by itself, as this event tells.

    A rule that a program removes is told with its key and without its path (``audit_log_rule_change``): an empty one.
    """
    found = []
    for one in cast("list[dict[str, JSON]]", event.get("records", [])):
        if one["type"] == "CONFIG_CHANGE":
            fields = cast("dict[str, str | None]", one["fields"])
            if fields.get("op") in ("remove_rule", "autoremove_rule"):
                found.append(fields.get("path") or fields.get("dir") or "")
    return found


@lru_cache(maxsize=256)
def _type_names(kinds: tuple[int, ...]) -> list[JSON]:
    """The names of all records; shared between events: not to be changed."""
    return [tables.type_name(kind) for kind in kinds]


def _keys(event: dict[str, JSON], written: str) -> None:
    if written != "(null)":
        event["keys"] = cast("JSON", (text(written) or "").split("\x01"))


def _read_fields(body: str) -> dict[str, JSON]:
    return cast("dict[str, JSON]", decoded(pairs(body)))


def _after(body: str, key: str) -> str | None:
    return text(body[len(key) :].rstrip()) if body.startswith(key) else text(pairs(body).get(key[:-1], ""))
