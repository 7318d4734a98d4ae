"""Whether sshd lets an account in by key at all, before any key is looked at: what closes the door.

Sources: auth.c ``allowed_user`` and auth-pam.c of OpenSSH 9.2. With PAM a locked password closes nothing, without it
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account.password import LOCKED, MISSING
from mig_account.sshd_config import in_patterns
from mig_account.users import DEFAULT_SHELL

if TYPE_CHECKING:
    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Account
    from mig_account.sshd_config import Case

NO_SHELL = "the shell ends at once: forwarding only"
"""Said of accounts that a key opens all the same."""


def closed_by_configuration(case: Case, account: Account, groups: list[str]) -> str:
    """Why the configuration lets the account in by no key; empty when it does."""
    if case.word("pubkeyauthentication") not in ("yes", ""):
        return "PubkeyAuthentication no"
    if account.uid == 0 and case.word("permitrootlogin") == "no":
        return "PermitRootLogin no"
    methods = case.words("authenticationmethods")
    ways = [one.split(",") for one in methods]
    if methods and methods[0] != "any" and not any(all(_is_key(step) for step in way) for way in ways):
        return f"AuthenticationMethods {' '.join(methods)}"
    return _closed_by_lists(case, account.name, groups)


def closed_by_account(ground: Ground, directory: Directory, case: Case, account: Account) -> str | None:
    """Why the account's own state lets it in by no key; empty when it does, None when that is not known."""
    shell = account.shell or DEFAULT_SHELL
    works = ground.is_program(shell)
    if works is False:
        return f"the shell {shell[:100]} is no program"
    expired = account.ages.is_expired(ground.today) if account.ages is not None else not account.ages_known and None
    if case.word("usepam") == "yes":
        if account.uid and ground.status_or_none("/etc/nologin") is not None:
            return "/etc/nologin"
        if account.password is not None and account.password.state == MISSING:
            return "no line in shadow"
    elif account.locked or (account.password is not None and account.password.state == LOCKED):
        return "the password is locked, and UsePAM is no"
    if expired:
        return "the account has expired"
    return None if expired is None or account.password is None or works is None else ""


def _closed_by_lists(case: Case, name: str, groups: list[str]) -> str:
    """The four lists, in sshd's order. Patterns with ``@`` ask for a host too, which nobody knows yet."""
    if any(in_patterns(name, one) for one in case.words("denyusers") if "@" not in one):
        return "DenyUsers"
    allowed = case.words("allowusers")
    if allowed and not any(in_patterns(name, one.partition("@")[0]) for one in allowed):
        return "AllowUsers"
    if any(in_patterns(group, one) for one in case.words("denygroups") for group in groups):
        return "DenyGroups"
    wanted = case.words("allowgroups")
    if wanted and not any(in_patterns(group, one) for one in wanted for group in groups):
        return "AllowGroups"
    return ""


def _is_key(step: str) -> bool:
    return step.partition(":")[0].lower() == "publickey"
