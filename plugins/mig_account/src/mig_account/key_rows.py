"""Rows about the keys that open accounts over SSH, as sshd resolves them: files by account, authorities, commands.

For each account: what the configuration says of it, in each case that a connection may be, then the files that it
names, whether sshd reads them, and whether each of their keys lets somebody in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account.doors import NO_SHELL, closed_by_account, closed_by_configuration
from mig_account.ground import NO_RECORD, NOT_UNDERSTOOD
from mig_account.key_files import why_not_read
from mig_account.key_options import parsed, why_closed
from mig_account.users import opens_shell
from mig_core.plugin.coverage import Reason
from mig_endpoint.ssh.authorized import authorized_keys
from mig_endpoint.ssh.blob import NotAKey, algorithm_of, bits_of, fingerprints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Account
    from mig_account.sshd_config import Case, SshdConfig
    from mig_core.plugin.cells import Cell
    from mig_endpoint.ssh.blob import Found

KEYS = "keys"
NOT_RUN = Reason("command that gives keys, which was not run")
REVOKED = Reason("list of revoked keys that was not read")
MAX_KEYS_FILE = 4 << 20
MIN_RSA = 1024
"""Bits of an RSA key below which sshd takes it from nobody (RequiredRSASize)."""
USERDBCTL = "/usr/bin/userdbctl ssh-authorized-keys"
"""The command that Debian's systemd-userdbd sets; what it gives is read here, from the records."""


class Keys:
    """The keys of one system."""

    def __init__(self, ground: Ground, directory: Directory, config: SshdConfig) -> None:
        self._ground = ground
        self._directory = directory
        self._config = config

    def rows(self) -> Iterator[dict[str, Cell]]:
        """A row for each key, and for each command or authority that gives some."""
        if not self._config.path:
            self._ground.tally.skip(NO_RECORD, "sshd_config: usual settings are taken")
        yield from self._authorities()
        for account in self._directory.by_name.values():
            if self._ground.expired():
                return
            seen: set[str] = set()
            for case in self._config.cases(account):
                yield from self._of_case(account, case, seen)

    def _of_case(self, account: Account, case: Case, seen: set[str]) -> Iterator[dict[str, Cell]]:
        groups = self._directory.groups_of(account)
        closed: str | None = closed_by_configuration(case, account, groups)
        if not closed:
            closed = closed_by_account(self._ground, self._directory, case, account)
            closed = closed or (closed if self._config.is_known else None)
        start: dict[str, Cell] = {"what": KEYS, "name": account.name, "condition": case.condition}
        start["configuration"] = self._config.path
        if account.uid is not None:
            start["uid"] = account.uid
        for pattern in case.words("authorizedkeysfile"):
            if pattern.lower() == "none":
                continue
            path = expanded(pattern, account)
            if path not in seen:
                seen.add(path)
                yield from self._file(path, account, case, closed, start)
        yield from self._others(account, case, closed, start, seen)

    def _others(
        self, account: Account, case: Case, closed: str | None, start: dict[str, Cell], seen: set[str]
    ) -> Iterator[dict[str, Cell]]:
        """Keys from commands, records and files of principals."""
        for keyword in ("authorizedkeyscommand", "authorizedprincipalscommand"):
            command = " ".join(case.words(keyword))
            if command.lower() == "none" or f"{keyword} {command}" in seen:
                continue
            seen.add(f"{keyword} {command}")
            if command.startswith(USERDBCTL):
                for number, text in enumerate(account.keys, 1):
                    yield from self._keys(text.encode(), account, case, closed, start | _where(account.path, number))
                continue
            self._ground.tally.skip(NOT_RUN, f"{account.name}: {command}")
            run_as = case.words(f"{keyword}user")
            yield start | {"kind": keyword, "command": command, "run_as": list(run_as), "opens": None}
        path = expanded(case.words("authorizedprincipalsfile")[0], account)
        if path.rpartition("/")[2].lower() != "none" and path not in seen:
            seen.add(path)
            for number, raw in self._ground.lines(path, MAX_KEYS_FILE):
                text = raw.decode("utf-8", "replace").strip()
                if text and not text.startswith("#"):
                    yield start | {"kind": "principal", "setting": text, "path": path, "line": number}
        revoked = case.words("revokedkeys")
        if revoked and revoked[0].lower() != "none" and "revoked" not in seen:
            seen.add("revoked")
            self._ground.tally.skip(REVOKED, revoked[0])

    def _authorities(self) -> Iterator[dict[str, Cell]]:
        """Those whose certificates are taken, for whoever the certificate names."""
        for one in self._config.settings:
            if one.keyword != "trustedusercakeys" or not one.words or one.words[0].lower() == "none":
                continue
            start: dict[str, Cell] = {"what": KEYS, "kind": "authority", "configuration": self._config.path}
            start["condition"] = " and ".join(criteria.text for criteria in one.under)
            content = self._ground.content(one.words[0], MAX_KEYS_FILE)
            for found in authorized_keys(content or b""):
                if isinstance(found, NotAKey):
                    self._ground.tally.failed(NOT_UNDERSTOOD, one.words[0], str(found))
                else:
                    yield start | _where(one.words[0], found.line) | _facts(found)

    def _file(
        self, path: str, account: Account, case: Case, closed: str | None, start: dict[str, Cell]
    ) -> Iterator[dict[str, Cell]]:
        strict = case.word("strictmodes") != "no"
        content = self._ground.content(path, MAX_KEYS_FILE)
        if content is None:
            return
        try:
            why_not = why_not_read(self._ground, self._directory, account, path, strict=strict)
        except OSError as error:
            self._ground.failed(path, error)
            return
        closed = closed or why_not or closed
        yield from self._keys(content, account, case, closed, start | {"path": path})

    def _keys(
        self, content: bytes, account: Account, case: Case, closed: str | None, start: dict[str, Cell]
    ) -> Iterator[dict[str, Cell]]:
        """A row for each entry that is a key; what sshd would not understand is counted."""
        for found in authorized_keys(content):
            self._ground.tally.examined("keys")
            if isinstance(found, NotAKey):
                self._ground.tally.skip(NOT_UNDERSTOOD, f"{start.get('path')}: {found}")
                continue
            row = {**start, **_facts(found)}
            row.setdefault("line", found.line)
            problem = self._problem(found, row, account, case)
            closing = closed or problem
            odd = [closing] if closing else []
            if not closing and opens_shell(account, self._ground) is False:
                odd.append(NO_SHELL)
            row |= {"kind": "authority" if row.pop("is_authority") else "key", "odd": odd}
            row["opens"] = False if closing else None if closed is None else True
            yield row

    def _problem(self, found: Found, row: dict[str, Cell], account: Account, case: Case) -> str:
        """Why sshd would take this key from nobody."""
        row["is_authority"] = False
        try:
            options = parsed(found.options)
        except ValueError as problem:
            return str(problem)
        row["is_authority"] = "cert-authority" in options
        bits = row.get("bits")
        algorithm = str(row.get("algorithm", ""))
        if algorithm == "ssh-dss" or (algorithm == "ssh-rsa" and isinstance(bits, int) and bits < MIN_RSA):
            return "a kind of key that sshd does not take any more"
        forced = "command" in options or "forcecommand" in case.values
        if account.uid == 0 and case.word("permitrootlogin") == "forced-commands-only" and not forced:
            return "PermitRootLogin forced-commands-only"
        return why_closed(options, self._ground.now)


def expanded(pattern: str, account: Account) -> str:
    """The path that a pattern of AuthorizedKeysFile means for an account."""
    values = {"%%": "%", "%h": account.home, "%u": account.name, "%U": str(account.uid)}
    place, path = 0, ""
    while place < len(pattern):
        token = pattern[place : place + 2]
        path += values.get(token, pattern[place])
        place += 2 if token in values else 1
    return path if path.startswith("/") else f"{account.home.rstrip('/')}/{path}"


def _where(path: str, line: int) -> dict[str, Cell]:
    return {"path": path, "line": line}


def _facts(found: Found) -> dict[str, Cell]:
    row: dict[str, Cell] = {"options": found.options, "comment": found.comment}
    try:
        row["algorithm"] = algorithm_of(found.blob)
        row["fingerprint"] = fingerprints(found.blob)[1]
        row["bits"] = bits_of(found.blob)
    except NotAKey:
        row["fingerprint"] = None
    return row
