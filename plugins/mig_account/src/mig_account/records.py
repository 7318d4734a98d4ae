"""What is known of one account or one group, wherever it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from mig_account.password import Password

BY_NAME, BY_NUMBER, IN_LIST, AT_LOGIN = "name", "number", "list", "login"
"""How name services find an entry; ``login``: a group that its members get when they log in."""


@dataclass(slots=True)
class Ages:
    """When a password was changed and has to be, in days; None where nothing is said."""

    changed: int | None = None
    """Day since 1970; 0: it must be changed at the next login."""
    minimum: int | None = None
    maximum: int | None = None
    warning: int | None = None
    inactive: int | None = None
    """Days after the password's end until the account is closed."""
    expires: int | None = None
    """Day since 1970 from which on the account is closed."""

    def must_change(self, today: int) -> bool:
        """Whether a new password is asked for at the next login."""
        if self.changed == 0:
            return True
        return self.changed is not None and self._limit() is not None and today > self.changed + (self._limit() or 0)

    def is_expired(self, today: int) -> bool:
        """Whether the account is closed today, by its day or for an old password (pam_unix(8), shadow(5))."""
        if self.expires is not None and today >= self.expires:
            return True
        limit = self._limit()
        if self.changed is None or limit is None or self.inactive is None:
            return False
        return today > self.changed + limit + self.inactive

    def _limit(self) -> int | None:
        return None if self.maximum is None or self.maximum >= _NEVER else self.maximum


_NEVER = 99_999
"""Days that stand for no limit (login.defs(5))."""


@dataclass(slots=True)
class Account:
    """One account of one source."""

    name: str
    uid: int | None
    gid: int | None
    path: str
    line: int = 0
    comment: str = ""
    home: str = ""
    shell: str = ""
    password: Password | None = None
    """None: not known, or not yet."""
    password_path: str = ""
    ages: Ages | None = None
    """None: nothing is said, or it is not known."""
    ages_known: bool = True
    odd: list[str] = field(default_factory=list)
    found_by: list[str] = field(default_factory=list)
    member_of: list[str] = field(default_factory=list)
    """Groups that the account's own record names."""
    keys: list[str] = field(default_factory=list)
    """Authorized keys of a userdb record."""
    locked: bool = False
    """A userdb record that says so."""


@dataclass(slots=True)
class Group:
    """One group of one source."""

    name: str
    gid: int | None
    path: str
    line: int = 0
    members: list[str] = field(default_factory=list)
    administrators: list[str] = field(default_factory=list)
    password: Password | None = None
    odd: list[str] = field(default_factory=list)
    found_by: list[str] = field(default_factory=list)
