"""The module itself: from what is asked to rows. The composition root of the plugin."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mig_account.declaration import COLUMNS, OPTIONS, WHAT
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.table import TableContext, TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally


class AccountModule(TableModule):
    """Says who may log in and become whom, and who did."""

    info = ModuleInfo(
        name="account",
        summary="find accounts, the rules and keys that open them, logins and failed logins",
        needs_root=True,
        discloses=(
            "names and rights of accounts, state and age of passwords but never a hash, who came in from where; names "
            "that were tried, which may be passwords typed into the wrong place"
        ),
        preload=("mig_account.directory", "mig_account.users", "mig_account.userdb"),
    )
    columns = COLUMNS
    options = OPTIONS

    def look(self, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        """A row for each thing of the kinds asked about."""
        from mig_account.ground import Ground

        asked = context.values.texts("ask") or WHAT[:1]
        wanted = frozenset(WHAT if "all" in asked else asked)
        if context.expired():
            return
        ground = Ground.below(context.values.text("root") or "/", tally, context.expired, self._now())
        yield from _Look(context, ground).rows(wanted)


class _Look:
    """One look at the accounts of one system; what several kinds of row need is read once."""

    def __init__(self, context: TableContext, ground: Ground) -> None:
        self._context = context
        self._ground = ground

    @cached_property
    def _directory(self) -> Directory:
        from mig_account.directory import Directory

        return Directory(self._ground)

    def rows(self, wanted: frozenset[str]) -> Iterator[dict[str, Cell]]:
        """The rows about everything wanted."""
        from mig_account import groups, nsswitch, users

        if users.USERS in wanted:
            self._directory.book("passwd", "shadow", "group", "initgroups")
            self._directory.read_passwords()
            yield from users.user_rows(self._context, self._ground, self._directory)
        if groups.GROUPS in wanted:
            self._directory.book("group", "gshadow", "passwd")
            self._directory.read_administrators()
            yield from groups.group_rows(self._ground, self._directory)
        if nsswitch.SERVICES in wanted:
            yield from self._directory.switch.rows()
        yield from self._rights(wanted)
        yield from self._logins(wanted)

    def _rights(self, wanted: frozenset[str]) -> Iterator[dict[str, Cell]]:
        if "sudo" in wanted:
            from mig_account import doas, polkit, sudo_rules

            self._directory.book("sudoers", "passwd", "group", "initgroups")
            yield from sudo_rules.sudo_rows(self._ground, self._directory)
            yield from doas.doas_rows(self._ground, self._directory)
            yield from polkit.polkit_rows(self._ground, self._directory)
        yield from self._ssh(wanted)

    def _ssh(self, wanted: frozenset[str]) -> Iterator[dict[str, Cell]]:
        if not wanted & {"keys", "sshd"}:
            return
        from mig_account import key_rows, sshd_config, sshd_rows, sshd_running

        if key_rows.KEYS in wanted:
            self._directory.book("passwd", "shadow", "group", "initgroups")
            self._directory.read_passwords()
        for path in sshd_running.configurations(self._ground) or [""]:
            config = sshd_config.SshdConfig(self._ground, self._directory, path)
            if key_rows.KEYS in wanted:
                yield from key_rows.Keys(self._ground, self._directory, config).rows()
            if sshd_rows.SSHD in wanted:
                yield from sshd_rows.sshd_rows(self._ground, config)

    def _logins(self, wanted: frozenset[str]) -> Iterator[dict[str, Cell]]:
        if not wanted & {"sessions", "logins", "last", "attempts", "sources"}:
            return
        from mig_account import attempts, journal_logins, lastlog, login_databases, logins, sessions

        if sessions.SESSIONS in wanted:
            yield from sessions.session_rows(self._ground)
        if logins.LOGINS in wanted:
            yield from logins.login_rows(self._ground)
            yield from login_databases.session_rows(self._ground)
            yield from journal_logins.session_rows(self._ground)
        if login_databases.LAST in wanted:
            yield from lastlog.lastlog_rows(self._ground, self._directory.account_name)
            yield from login_databases.last_rows(self._ground)
        if attempts.ATTEMPTS in wanted:
            yield from attempts.attempt_rows(self._ground, self._directory.by_name)
        if attempts.SOURCES in wanted:
            yield from attempts.source_rows(self._ground)
