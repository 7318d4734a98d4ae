"""All accounts and groups of one system: what each source has, and what name services make of it.

Of two entries with one name the first counts, in the order of nsswitch.conf; the others are kept, because a name
service still gives them out by number or in a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account import colon
from mig_account.colon import Library, NotTaken
from mig_account.ground import ELSEWHERE, TOO_MANY
from mig_account.nsswitch import NOT_ASKED, SOURCES, SYSTEMD, Switch, read_switch
from mig_account.password import MISSING, Password, judged
from mig_account.records import AT_LOGIN, BY_NAME, BY_NUMBER, IN_LIST, Account, Ages, Group
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_account.colon import Line
    from mig_account.ground import Ground
    from mig_account.userdb import UserDatabase

NOT_TAKEN = Reason("line that name services do not take for an entry", as_asked=True)
NO_PASSWD = Reason("no source of accounts was there")
MAX_ENTRIES = 200_000
"""Entries of one file that are looked at."""
_CHECK = 4096


class Directory:
    """The accounts and groups, read once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.switch: Switch = read_switch(ground)
        self.accounts: list[Account] = []
        self.groups: list[Group] = []
        self._has_passwords = self._has_administrators = False
        database = self._user_database()
        self._read(database)
        if not self.accounts:
            ground.tally.skip(NO_PASSWD, SOURCES["files"].passwd)
        self.by_name = {one.name: one for one in self.accounts if BY_NAME in one.found_by}
        self.by_uid: dict[int | None, list[Account]] = {}
        for account in self.accounts:
            self.by_uid.setdefault(account.uid, []).append(account)
        self.by_gid: dict[int | None, list[Group]] = {}
        for group in self.groups:
            self.by_gid.setdefault(group.gid, []).append(group)
        self._memberships: dict[str, list[str]] = {}
        self._members_by_group: dict[str, list[str]] = {}
        self._by_first_group: dict[int | None, list[str]] = {}
        self._join(list(database.memberships()) if database is not None else [])

    def _read(self, database: UserDatabase | None) -> None:
        """Reads each source, in the order of its database."""
        for source in self.switch.file_sources("passwd"):
            if source != SYSTEMD:
                self._accounts_of(source)
            elif database is not None:
                self._add_accounts(database.accounts())
        for source in self.switch.file_sources("group"):
            if source != SYSTEMD:
                self._groups_of(source)
            elif database is not None:
                self._add_groups(database.groups())

    def book(self, *databases: str) -> None:
        """Books the name services of some databases that are not looked at."""
        self.switch.book(self._ground, databases)
        names = [*(one.name for one in self.accounts), *(one.name for one in self.groups)]
        entries = [name for name in names if name.startswith(("+", "-"))]
        if entries and any("compat" in self.switch.services(one) for one in databases):
            self._ground.tally.skip(NOT_ASKED, f"compat: {entries[0]}", count=len(entries))

    def groups_of(self, account: Account) -> list[str]:
        """The names of the groups an account is in, its own first."""
        names = [self.group_name(account.gid)] if account.gid is not None else []
        return list(dict.fromkeys((*names, *self._memberships.get(account.name, ()))))

    def everybody_in(self, group: Group) -> list[str]:
        """The names of all who are in a group: by its own list, by a membership, or because it is their first."""
        named = [*group.members, *self._members_by_group.get(group.name, ())]
        return list(dict.fromkeys((*named, *(self._by_first_group.get(group.gid, ()) if group.found_by else ()))))

    def group_name(self, gid: int) -> str:
        """The name of a group; its number where it has none."""
        return next((one.name for one in self.by_gid.get(gid, ()) if BY_NUMBER in one.found_by), str(gid))

    def account_name(self, uid: int) -> str:
        """The name of the account with a number; the number where there is none."""
        return next((one.name for one in self.by_uid.get(uid, ()) if BY_NUMBER in one.found_by), str(uid))

    def _user_database(self) -> UserDatabase | None:
        if not any(SYSTEMD in self.switch.services(one) for one in ("passwd", "group")):
            return None
        from mig_account.userdb import UserDatabase

        return UserDatabase(self._ground)

    def _accounts_of(self, source: str) -> None:
        path = SOURCES[source].passwd
        names = {one.name for one in self.accounts}
        numbers = {one.uid for one in self.accounts}
        for number, raw in self._lines(path):
            try:
                line = colon.read_passwd(raw, self.switch.library)
            except NotTaken as problem:
                self._ground.tally.skip(NOT_TAKEN, f"{path}:{number}: {problem}")
                continue
            uid, gid = line.numbers
            comment, home, shell = line.rest
            account = Account(line.name, uid, gid, path, number, comment, home, shell, odd=line.odd)
            account.found_by = _found_by(line, uid, names, numbers, self.switch.library)
            account.password, account.password_path = judged(line.password), path
            if line.password == b"x" or line.password == b"##" + line.name.encode("utf-8", "surrogateescape"):
                account.password, account.password_path = None, ""
            self.accounts.append(account)

    def _groups_of(self, source: str) -> None:
        path = SOURCES[source].group
        names = {one.name for one in self.groups}
        numbers = {one.gid for one in self.groups}
        for number, raw in self._lines(path, comments=True):
            try:
                line = colon.read_group(raw, self.switch.library)
            except NotTaken as problem:
                if not colon.is_comment(raw, self.switch.library):
                    self._ground.tally.skip(NOT_TAKEN, f"{path}:{number}: {problem}")
                continue
            (gid,) = line.numbers
            group = Group(line.name, gid, path, number, colon.members_of(line.rest[0]), odd=line.odd)
            if not colon.is_comment(raw, self.switch.library):
                group.found_by = [*_found_by(line, gid, names, numbers, self.switch.library), AT_LOGIN]
            elif not group.members:
                continue
            else:
                group.found_by = [AT_LOGIN]
                group.odd.append("a comment, whose group its members get all the same when they log in")
            group.password = None if line.password == b"x" else judged(line.password)
            self.groups.append(group)

    def _lines(self, path: str, *, comments: bool = False) -> Iterator[tuple[int, bytes]]:
        """The lines of a file, comments only where they are wanted, as far as there is room and time.

        They are wanted of groups: glibc (nss_files/files-initgroups.c, 2.36) does not know comments when it looks for
        the groups of somebody who logs in.
        """
        count = 0
        for number, raw in self._ground.lines(path):
            if number % _CHECK == 0 and self._ground.expired():
                return
            if not comments and colon.is_comment(raw, self.switch.library):
                continue
            count += 1
            if count > MAX_ENTRIES:
                self._ground.tally.skip(TOO_MANY, path)
                return
            yield number, raw

    def _add_accounts(self, records: Iterator[Account]) -> None:
        """Adds what systemd's name service has; entries of sources before it win."""
        names = {one.name for one in self.accounts if BY_NAME in one.found_by}
        numbers = {one.uid for one in self.accounts if BY_NUMBER in one.found_by}
        for one in records:
            one.found_by = _unless_taken(one.found_by, is_named=one.name in names, is_numbered=one.uid in numbers)
            self.accounts.append(one)

    def _add_groups(self, records: Iterator[Group]) -> None:
        names = {one.name for one in self.groups if BY_NAME in one.found_by}
        numbers = {one.gid for one in self.groups if BY_NUMBER in one.found_by}
        for one in records:
            one.found_by = _unless_taken(one.found_by, is_named=one.name in names, is_numbered=one.gid in numbers)
            self.groups.append(one)

    def read_passwords(self) -> None:
        """Fills in what shadow files say of accounts whose password is there: only for those who ask about that."""
        if self._has_passwords:
            return
        self._has_passwords = True
        lines, known = self._secrets("shadow", colon.read_shadow)
        for account in self.accounts:
            if account.path not in _COLON_FILES:
                continue
            found = lines.get(account.name)
            if found is not None:
                account.ages = Ages(*found[1].numbers)
            if account.password is None and found is not None:
                account.password, account.password_path = judged(found[1].password), found[0]
            elif account.password is None:
                account.password = Password(MISSING) if known else None
                account.ages_known = known

    def read_administrators(self) -> None:
        """Fills in what gshadow says: administrators, passwords, and members that group does not name."""
        if self._has_administrators:
            return
        self._has_administrators = True
        lines, known = self._secrets("gshadow", colon.read_gshadow)
        for group in self.groups:
            found = lines.get(group.name)
            if found is not None:
                administrators, members = found[1].rest
                group.administrators = group.administrators or colon.members_of(administrators)
                if only_there := sorted(set(colon.members_of(members)) - set(group.members)):
                    group.odd.append(f"members of gshadow alone, who are in no group: {', '.join(only_there)[:200]}")
            if group.password is None and group.path in _COLON_FILES:
                group.password = judged(found[1].password) if found else Password(MISSING) if known else None

    def _secrets(self, database: str, read: Callable[[bytes], Line]) -> tuple[dict[str, tuple[str, Line]], bool]:
        """The first line of each name with its file, and whether whoever has none there has none at all."""
        lines: dict[str, tuple[str, Line]] = {}
        before = self._missed()
        for source in self.switch.file_sources(database):
            path = getattr(SOURCES[source], database) if source in SOURCES else ""
            for number, raw in self._lines(path) if path else ():
                try:
                    line = read(raw)
                except NotTaken as problem:
                    self._ground.tally.skip(NOT_TAKEN, f"{path}:{number}: {problem}")
                else:
                    lines.setdefault(line.name, (path, line))
        return lines, self._missed() == before and not self._ground.expired()

    def _missed(self) -> int:
        """How much was booked as not read."""
        tally = self._ground.tally
        return tally.failures + tally.skipped(TOO_MANY) + tally.skipped(ELSEWHERE)

    def _join(self, memberships: list[tuple[str, str]]) -> None:
        """Puts accounts and groups together."""
        for group in self.groups:
            if AT_LOGIN in group.found_by and group.gid is not None:
                for member in group.members:
                    self._memberships.setdefault(member, []).append(self.group_name(group.gid))
        for account in self.accounts:
            if account.gid is not None and account.found_by:
                self._by_first_group.setdefault(account.gid, []).append(account.name)
            memberships += [(account.name, name) for name in account.member_of]
        for user, name in memberships:
            self._memberships.setdefault(user, []).append(name)
            self._members_by_group.setdefault(name, []).append(user)


_COLON_FILES = frozenset(one for files in SOURCES.values() for one in (files.passwd, files.group))


def _unless_taken(found_by: list[str], *, is_named: bool, is_numbered: bool) -> list[str]:
    taken = {BY_NAME: is_named, BY_NUMBER: is_numbered}
    return [how for how in found_by if not taken.get(how)]


def _found_by(line: Line, number: int | None, names: set[str], numbers: set[int | None], library: Library) -> list[str]:
    """How name services find an entry, and remembers that it was there."""
    if library is Library.GLIBC and line.name.startswith(("+", "-")):
        return [IN_LIST]
    found = [IN_LIST]
    if number not in numbers:
        found.insert(0, BY_NUMBER)
        numbers.add(number)
    if line.name not in names:
        found.insert(0, BY_NAME)
        names.add(line.name)
    return found
