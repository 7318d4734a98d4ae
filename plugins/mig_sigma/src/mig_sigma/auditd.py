"""The records of an audit event, one by one, as rules for the log of auditd know them.

A line of that log is one record; the module ``audit`` has made one event of all. Here each record gets its fields back
under the kernel's names (and auditd's own, in capitals, for what it translates), and besides what its event's SYSCALL
says of who did it, for rules that ask for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_sigma.conditions import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_sigma.alert import Alert

    Value = str | tuple[str, ...]

_IDS = ("auid", "uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid")
_PATH = {
    "item": "item", "name": "name", "nametype": "type", "mode": "mode", "inode": "inode", "dev": "device",
    "rdev": "rdev", "ouid": "uid", "ogid": "gid",
}  # fmt: skip
"""The kernel's field -> our member."""
_ADDRESS = {"family": "saddr_fam", "address": "laddr", "port": "lport", "path": "path", "abstract": "path"}
UNSET = "4294967295"


def records(alert: Alert, kinds: frozenset[str] | None = None) -> Iterator[Facts]:
    """The fields of each record; keywords are looked for in what is the record's own.

    Args:
        kinds: the types of records that are asked about, in lower case; None: all.
    """
    who = _Who(alert)
    for kind, make in _MAKERS:
        if kinds is None or kind in kinds:
            for own, texts in make(alert):
                yield Facts(own, texts, who)
    if kinds is not None and kinds <= DERIVED:
        return
    for other in alert.get("records") or ():
        kind = str(other.get("type"))
        if kinds is None or kind.lower() in kinds:
            own = {str(name): str(value) for name, value in (other.get("fields") or {}).items() if value is not None}
            yield Facts({"type": kind, **own}, None, who)


class _Who:
    """Who did it, made when it is first asked for."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self._made: dict[str, Value] | None = None

    def __call__(self) -> Mapping[str, Value]:
        if self._made is None:
            self._made = _who(self._alert)
        return self._made


_Own = tuple["Mapping[str, Value]", "tuple[str, ...] | None"]


class _Renamed(dict[str, "Value"]):
    """The fields of a record that is an object in the alert, each read when it is asked for."""

    def __init__(self, kind: str, names: Mapping[str, str], members: Mapping[str, Any]) -> None:
        """``names``: field -> member."""
        super().__init__(type=kind)
        self._names = names
        self._members = members

    def get(self, name: str, default: Any = ()) -> Any:
        """The value of a field."""
        if name == "type":
            return self["type"]
        value = self._members.get(self._names.get(name, ""))
        return default if value is None else str(value)

    def __iter__(self) -> Iterator[str]:
        yield "type"
        yield from (name for name, member in self._names.items() if self._members.get(member) is not None)

    def __contains__(self, name: object) -> bool:
        return name in self._names or name == "type"


def _texts(own: Mapping[str, Value]) -> tuple[str, ...]:
    return tuple([text for value in own.values() for text in ((value,) if isinstance(value, str) else value)])


def _who(alert: Alert) -> dict[str, Value]:
    process, user, keys = alert.get("process") or {}, alert.get("user") or {}, alert.get("keys")
    made: dict[str, Value] = {}
    for theirs, ours in (("pid", "pid"), ("ppid", "ppid"), ("comm", "name"), ("exe", "exe"), ("tty", "tty")):
        if process.get(ours) is not None:
            made[theirs] = str(process[ours])
    if "session" in process:
        made["ses"] = UNSET if process["session"] is None else str(process["session"])
    for name in _IDS:
        if name in user:
            made[name] = UNSET if user[name] is None else str(user[name])
            if user.get(f"{name}_name"):
                made[name.upper()] = str(user[f"{name}_name"])
    if keys:
        made["key"] = tuple(map(str, keys))
    return made


def _call(alert: Alert) -> Iterator[_Own]:
    call = alert.get("syscall")
    if not call:
        return
    made: dict[str, Value] = {"type": "SYSCALL", "SYSCALL": str(call.get("name")), "syscall": str(call.get("number"))}
    if "arch" in call:
        made["arch"] = made["ARCH"] = str(call["arch"])
    if (result := alert.result()) is not None:
        made["success"] = "yes" if result else "no"
    if "exit" in call:
        made["exit"] = str(call["exit"])
    # As they stand in the log: hexadecimal, without 0x.
    made.update({f"a{place}": str(word).removeprefix("0x") for place, word in enumerate(call.get("args") or ())})
    yield made, (*_texts(made), *_texts(_who(alert)))


def _arguments(alert: Alert) -> Iterator[_Own]:
    words = (alert.get("process") or {}).get("arguments")
    if isinstance(words, list):
        own: dict[str, Value] = {f"a{place}": str(word) for place, word in enumerate(words)}
        # The whole line, too: that is how people read the words that a rule looks for anywhere.
        yield {"type": "EXECVE", "argc": str(len(words)), **own}, (" ".join(map(str, words)), *_texts(own))


def _folder(alert: Alert) -> Iterator[_Own]:
    folder = (alert.get("process") or {}).get("cwd")
    if folder is not None:
        yield {"type": "CWD", "cwd": str(folder)}, None


def _paths(alert: Alert) -> Iterator[_Own]:
    for path in alert.get("paths") or ():
        yield _Renamed("PATH", _PATH, path), None


def _title(alert: Alert) -> Iterator[_Own]:
    title = (alert.get("process") or {}).get("title")
    if title is not None:
        yield {"type": "PROCTITLE", "proctitle": str(title)}, None


def _address(alert: Alert) -> Iterator[_Own]:
    address = alert.get("address")
    if address:
        known = {theirs: str(address[ours]) for ours, theirs in _ADDRESS.items() if address.get(ours) is not None}
        yield {"type": "SOCKADDR", **known}, None


_MAKERS = (
    ("syscall", _call), ("execve", _arguments), ("cwd", _folder), ("path", _paths), ("proctitle", _title),
    ("sockaddr", _address),
)  # fmt: skip
"""Type of record -> what finds its fields in an event, and its texts where they are not these fields'."""
DERIVED = frozenset(kind for kind, _make in _MAKERS)
"""Types of records that are no records in the event any more."""
