"""Rows about accounts: who there is, in what state the password is, what is at home."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_account.ground import DAY
from mig_account.password import EMPTY, SET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Account, Group
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.table import TableContext

USERS = "users"
DEFAULT_SHELL = "/bin/sh"
"""What runs where the field is empty (passwd(5))."""
_NO_SHELLS = ("nologin", "false")
MAX_OTHERS = 100
"""Names of others with the same number that a row lists."""


def others(same: Sequence[Account] | Sequence[Group], entry: Account | Group) -> list[str]:
    """The names of those with the same number but for the entry itself, as many as a row lists."""
    return sorted({one.name for one in same[: MAX_OTHERS + 1] if one is not entry})


def user_rows(context: TableContext, ground: Ground, directory: Directory) -> Iterator[dict[str, Cell]]:
    """A row for each account of each source."""
    shells: dict[str, bool | None] = {}
    for account in directory.accounts:
        if ground.expired():
            return
        ground.tally.examined("accounts")
        row = _known(account, directory)
        if context.rules_out(**row):
            continue
        row |= _password(account, ground)
        _shell(row, account, ground, shells)
        _home(row, account, ground)
        yield row


def opens_shell(account: Account, ground: Ground) -> bool | None:
    """Whether the account's shell is a program that stays; None when that cannot be found out."""
    shell = account.shell or DEFAULT_SHELL
    return False if shell.rpartition("/")[2] in _NO_SHELLS else ground.is_program(shell)


def _known(account: Account, directory: Directory) -> dict[str, Cell]:
    same = directory.by_uid.get(account.uid, ()) if account.uid is not None else ()
    row: dict[str, Cell] = {
        "what": USERS,
        "name": account.name or "",
        "found_by": account.found_by,
        "groups": directory.groups_of(account),
        "same_id": others(same, account),
        "comment": account.comment,
        "home": account.home,
        "shell": account.shell,
        "path": account.path,
        "odd": account.odd,
    }
    row |= {name: value for name, value in (("uid", account.uid), ("gid", account.gid)) if value is not None}
    if account.gid is not None:
        row["group"] = directory.group_name(account.gid)
    if account.line:
        row["line"] = account.line
    return row


def _password(account: Account, ground: Ground) -> dict[str, Cell]:
    if account.password is None:
        row: dict[str, Cell] = dict.fromkeys(("password", "method", "strength"))
    else:
        row = {
            "password": account.password.state,
            "method": account.password.method,
            "cost": account.password.cost,
            "strength": account.password.strength,
            "password_path": account.password_path,
        }
    ages = account.ages
    if ages is None:
        if not account.ages_known:
            row |= dict.fromkeys(("changed", "expires", "expired", "must_change"))
        else:
            row |= {"expired": False, "must_change": False}
        return row
    if ages.changed:
        row["changed"] = ages.changed * DAY
    if ages.expires is not None:
        row["expires"] = ages.expires * DAY
    numbers = {
        "min_days": ages.minimum,
        "max_days": ages.maximum,
        "warn_days": ages.warning,
        "inactive_days": ages.inactive,
    }
    row |= {name: day for name, day in numbers.items() if day is not None}
    row |= {"expired": ages.is_expired(ground.today), "must_change": ages.must_change(ground.today)}
    return row


def _shell(row: dict[str, Cell], account: Account, ground: Ground, shells: dict[str, bool | None]) -> None:
    """Whether the shell lets somebody in, and whether a password does."""
    if account.shell not in shells:
        shells[account.shell] = opens_shell(account, ground)
    row["shell_works"] = works = shells[account.shell]
    expired = row.get("expired")
    if works is False or expired is True or (account.password and account.password.state not in (SET, EMPTY)):
        row["password_opens"] = False
    elif works is None or expired is None or account.password is None:
        row["password_opens"] = None
    else:
        row["password_opens"] = not account.locked


def _home(row: dict[str, Cell], account: Account, ground: Ground) -> None:
    if not account.home.startswith("/"):
        return
    try:
        status = ground.status(account.home)
    except OSError as error:
        ground.failed(account.home, error)
        row |= {"home_owner": None, "home_mode": None}
        return
    if status is None:
        return
    row |= {"home_owner": status.st_uid, "home_mode": f"{status.st_mode & 0o7777:04o}"}
    odd = []
    if status.st_uid not in (0, account.uid):
        odd.append(f"a home directory of user id {status.st_uid}")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX and stat.S_ISDIR(status.st_mode):
        odd.append("a home directory that everybody may write to")
    row["odd"] = [*account.odd, *odd]
