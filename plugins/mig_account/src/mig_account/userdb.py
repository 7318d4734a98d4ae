"""Accounts and groups that systemd's name service adds: JSON records, memberships, dynamic users.

Sources: nss-systemd(8), userdb(5)'s drop-in folders, https://systemd.io/USER_RECORD and GROUP_RECORD; that a record
without its ``UID.user`` is found by name only was seen with systemd 257. Services that answer on sockets are not asked.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

from mig_account.ground import DAY, NOT_UNDERSTOOD, TOO_LARGE, TOO_MANY, text_of
from mig_account.nsswitch import NOT_ASKED
from mig_account.password import IMPOSSIBLE, LOCKED, Password, judged
from mig_account.records import AT_LOGIN, BY_NAME, BY_NUMBER, IN_LIST, Account, Ages, Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground

FOLDERS = ("/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/local/lib/userdb", "/usr/lib/userdb")
HOMED = "/var/lib/systemd/home"
"""Records of systemd-homed, ``NAME.identity``."""
DYNAMIC = "/run/systemd/dynamic-uid"
SOCKETS = "/run/systemd/userdb"
_READ_HERE = frozenset(
    {
        "io.systemd.DropIn",
        "io.systemd.DynamicUser",
        "io.systemd.Home",
        "io.systemd.Multiplexer",
        "io.systemd.NameServiceSwitch",
    }
)
"""Services whose answers are in files that are read here, or that only pass on what others say."""
REGULAR, NOLOGIN = "regular", "/usr/sbin/nologin"
_OTHERS = ((0, 999), (61_184, 65_519), (65_534, 65_535), (524_288, 1_879_048_191), (1 << 31, 1 << 32))
"""User ids of the system, of services, of nobody, of containers, and reserved ones: not regular users'."""
MAX_RECORD = 1 << 20
MAX_RECORDS = 50_000
MAX_BYTES = 32 << 20
"""Bytes of records that are read, all together."""
_USEC_A_DAY = DAY * 1_000_000


class UserDatabase:
    """The records of one system, read once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._room = MAX_BYTES
        self._files: dict[str, str] = {}
        for folder in FOLDERS:
            for name in ground.names(folder):
                self._files.setdefault(name, f"{folder}/{name}")
        if len(self._files) > MAX_RECORDS:
            ground.tally.skip(TOO_MANY, "userdb", count=len(self._files) - MAX_RECORDS)
        self._names = sorted(self._files)[:MAX_RECORDS]
        self._machine = _first_line(ground, "/etc/machine-id")
        self._hostname = socket.gethostname() if ground.tree.is_own else _first_line(ground, "/etc/hostname")

    def accounts(self) -> Iterator[Account]:
        """Those of records, then those of running services with a user of their own."""
        for name in self._names:
            if self._ground.expired():
                return
            stem, dot, kind = name.rpartition(".")
            if dot and kind == "user" and not (stem.isdigit() and self._named_elsewhere(name, "userName", "user")):
                yield from self._account(name, stem)
        for name in self._ground.names(HOMED):
            if name.endswith(".identity"):
                path = f"{HOMED}/{name}"
                record = self._record(path)
                if record is not None:
                    yield self._made(record, path, [BY_NAME, BY_NUMBER, IN_LIST])
        yield from self._dynamic()
        self._book_sockets()

    def groups(self) -> Iterator[Group]:
        """Those of records."""
        for name in self._names:
            if self._ground.expired():
                return
            stem, dot, kind = name.rpartition(".")
            if dot and kind == "group" and not (stem.isdigit() and self._named_elsewhere(name, "groupName", "group")):
                yield from self._group(name, stem)

    def memberships(self) -> Iterator[tuple[str, str]]:
        """User and group of each membership; an empty file hides one that another folder has."""
        for name in self._names:
            stem, dot, kind = name.rpartition(".")
            user, colon, group = stem.partition(":")
            if dot and kind == "membership" and colon and self._ground.content(self._files[name], MAX_RECORD):
                yield user, group

    def _named_elsewhere(self, name: str, key: str, kind: str) -> bool:
        """Whether the record of a file ``NUMBER.user`` has a file of its name too, which stands for both."""
        record = self._record(self._files[name])
        return record is None or f"{record.get(key)}.{kind}" in self._files

    def _account(self, name: str, stem: str) -> Iterator[Account]:
        path = self._files[name]
        record = self._record(path)
        if record is None:
            return
        account = self._made(record, path, [])
        if stem == account.name:
            account.found_by.append(BY_NAME)
        elif not stem.isdigit():
            account.odd.append("its file is not called like it")
        if account.uid is not None and self._has_number(f"{account.uid}.user", "userName", account.name):
            account.found_by += [BY_NUMBER, IN_LIST]
        yield account

    def _has_number(self, name: str, key: str, value: str) -> bool:
        path = self._files.get(name)
        return path is not None and (self._record(path) or {}).get(key) == value

    def _made(self, record: dict[str, Any], path: str, found_by: list[str]) -> Account:
        merged = self._merged(record)
        privileged = _mapping(record.get("privileged")) or self._privileged(path)
        uid, name = _number(merged.get("uid")), _text(merged.get("userName"))
        gid = _number(merged.get("gid"))
        account = Account(name, uid, uid if gid is None else gid, path, found_by=found_by)
        account.comment = _text(merged.get("realName")) or name
        is_regular = (_text(merged.get("disposition")) or _disposition(uid)) == REGULAR
        home = "/root" if name == "root" else f"/home/{name}" if is_regular else "/"
        account.home = _text(merged.get("homeDirectory")) or home
        shell = "/bin/sh" if name == "root" else "/bin/bash" if is_regular else NOLOGIN
        account.shell = _text(merged.get("shell")) or shell
        account.locked = merged.get("locked") is True
        account.member_of = _texts(merged.get("memberOf"))
        if privileged is not None:
            account.keys = _texts(privileged.get("sshAuthorizedKeys"))
        account.password = _password(privileged, is_locked=account.locked)
        account.password_path = path
        account.ages = _ages(merged)
        return account

    def _merged(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record with what it says for this machine alone."""
        merged = {**_mapping(_mapping(record.get("binding"), {}).get(self._machine), {}), **record}
        for part in _list(record.get("perMachine")):
            section = _mapping(part, {})
            ids, hosts = _texts(section.get("matchMachineId")), _texts(section.get("matchHostname"))
            if self._machine in ids or self._hostname in hosts:
                merged |= section
        return merged

    def _privileged(self, path: str) -> dict[str, Any] | None:
        """The part of a record that only root may read; None when it cannot be read, empty when there is none."""
        name = f"{path.rpartition('/')[2]}-privileged"
        if name not in self._files:
            return {}
        failures = self._ground.tally.failures
        record = self._record(self._files[name])
        if record is None:
            return None if self._ground.tally.failures > failures else {}
        privileged: dict[str, Any] = _mapping(record.get("privileged"), record)
        return privileged

    def _group(self, name: str, stem: str) -> Iterator[Group]:
        path = self._files[name]
        record = self._record(path)
        if record is None:
            return
        group = Group(_text(record.get("groupName")), _number(record.get("gid")), path, found_by=[AT_LOGIN])
        group.members = _texts(record.get("members"))
        group.administrators = _texts(record.get("administrators"))
        group.password = _password(_mapping(record.get("privileged")) or self._privileged(path), is_locked=False)
        if stem == group.name:
            group.found_by.append(BY_NAME)
        if group.gid is not None and self._has_number(f"{group.gid}.group", "groupName", group.name):
            group.found_by += [BY_NUMBER, IN_LIST]
        yield group

    def _dynamic(self) -> Iterator[Account]:
        """Users of services with DynamicUser=yes, by the links that the service manager keeps: ``direct:UID``."""
        for name in self._ground.names(DYNAMIC):
            number = name.removeprefix("direct:")
            if number == name or not number.isdigit() or len(number) > 10:
                continue
            path = f"{DYNAMIC}/{name}"
            try:
                user = os.readlink(f"{self._ground.tree.real(DYNAMIC)}/{name}")
            except OSError as error:
                self._ground.failed(path, error)
                continue
            account = Account(user, int(number), int(number), path, comment="Dynamic User", home="/")
            account.shell = NOLOGIN
            account.password, account.password_path = Password(IMPOSSIBLE), path
            account.found_by = [BY_NAME, BY_NUMBER, IN_LIST]
            yield account

    def _book_sockets(self) -> None:
        for name in self._ground.names(SOCKETS):
            if name not in _READ_HERE:
                self._ground.tally.skip(NOT_ASKED, f"{SOCKETS}/{name}")

    def _record(self, path: str) -> dict[str, Any] | None:
        """The JSON object in a file; None for an empty one, which masks, and for one that is booked."""
        if self._room <= 0:
            self._ground.tally.skip(TOO_LARGE, path)
            return None
        content = self._ground.content(path, MAX_RECORD)
        if content is None or not content.strip():
            return None
        self._room -= len(content)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            self._ground.tally.failed(NOT_UNDERSTOOD, path, "not a JSON record")
            return None
        if not isinstance(value, dict):
            self._ground.tally.failed(NOT_UNDERSTOOD, path, "not a JSON object")
            return None
        return value


def _disposition(uid: int | None) -> str:
    """What kind of user somebody is of whom the record does not say it (``user_record_disposition``)."""
    return "" if uid is None or any(first <= uid <= last for first, last in _OTHERS) else REGULAR


def _password(privileged: dict[str, Any] | None, *, is_locked: bool) -> Password | None:
    if privileged is None:
        return None
    hashes = _texts(privileged.get("hashedPassword"))
    found = judged(hashes[0].encode("utf-8", "replace")) if hashes else Password(IMPOSSIBLE)
    return Password(LOCKED, found.method, found.cost, found.strength) if is_locked else found


def _ages(record: dict[str, Any]) -> Ages | None:
    names = (
        "lastPasswordChangeUSec",
        "passwordChangeMinUSec",
        "passwordChangeMaxUSec",
        "passwordChangeWarnUSec",
        "passwordChangeInactiveUSec",
        "notAfterUSec",
    )
    days = [None if (number := _number(record.get(name), 64)) is None else number // _USEC_A_DAY for name in names]
    if record.get("passwordChangeNow") is True:
        days[0] = 0
    return Ages(*days) if any(day is not None for day in days) else None


def _first_line(ground: Ground, path: str) -> str:
    return next((text_of(line).strip() for _, line in ground.lines(path, MAX_RECORD)), "")


def _mapping(value: object, default: Any = None) -> Any:
    return value if isinstance(value, dict) else default


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [_text(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _number(value: object, bits: int = 32) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < (1 << bits) - 1:
        return value
    return None
