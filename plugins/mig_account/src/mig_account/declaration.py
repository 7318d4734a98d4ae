"""The declared columns and options of ``account``: what mig, mig-api and the agent check, offer and explain."""

from __future__ import annotations

from mig_core.plugin.checks import absolute_path_or_none
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.parameters import Parameter

WHAT = ("users", "groups", "sessions", "logins", "last", "attempts", "sources", "services")
COLUMNS = (
    Column("what", ColumnKind.TEXT, "what the row is about: one of the words of --ask", always=True),
    Column("name", ColumnKind.TEXT, "account, group or database"),
    Column("uid", ColumnKind.INTEGER, "user id"),
    Column("gid", ColumnKind.INTEGER, "group id; of an account, that of its first group"),
    Column("group", ColumnKind.TEXT, "first group of an account"),
    Column("groups", ColumnKind.LIST, "all groups an account is in"),
    Column("members", ColumnKind.LIST, "who the group's own entry names"),
    Column("all_members", ColumnKind.LIST, "all who are in a group, those whose first group it is included"),
    Column("administrators", ColumnKind.LIST, "who may change the group's members"),
    Column("same_id", ColumnKind.LIST, "others with the same number"),
    Column("found_by", ColumnKind.LIST, "how name services find it: name, number, list; login: its members get it"),
    Column("shell", ColumnKind.PATH, "login shell"),
    Column("shell_works", ColumnKind.BOOLEAN, "the shell is a program, and neither nologin nor false"),
    Column("password", ColumnKind.TEXT, "set, empty (none is asked for), locked, impossible or missing"),
    Column("method", ColumnKind.TEXT, "how the password is hashed, like yescrypt or md5crypt"),
    Column("cost", ColumnKind.TEXT, "what one guess costs, like rounds=5000"),
    Column("strength", ColumnKind.TEXT, "how the method stands guessing: weak, fair, strong"),
    Column("password_opens", ColumnKind.BOOLEAN, "somebody who knows the password gets a shell"),
    Column("changed", ColumnKind.TIME, "when the password was changed last"),
    Column("must_change", ColumnKind.BOOLEAN, "a new password is asked for at the next login"),
    Column("expires", ColumnKind.TIME, "day from which the account is closed"),
    Column("expired", ColumnKind.BOOLEAN, "the account is closed, by that day or for an old password"),
    Column("min_days", ColumnKind.INTEGER, "days until a password may be changed again"),
    Column("max_days", ColumnKind.INTEGER, "days after which a password must be changed"),
    Column("warn_days", ColumnKind.INTEGER, "days of warning before that"),
    Column("inactive_days", ColumnKind.INTEGER, "days after that until the account is closed"),
    Column("home", ColumnKind.PATH, "home directory"),
    Column("home_owner", ColumnKind.INTEGER, "user id that owns the home directory"),
    Column("home_mode", ColumnKind.TEXT, "permissions of the home directory, like 0700"),
    Column("comment", ColumnKind.TEXT, "comment of an account", masked=True),
    Column("kind", ColumnKind.TEXT, "kind of the row: login, boot, clock, logind, faillock and so on"),
    Column("start", ColumnKind.TIME, "when a session, start or attempt began; the first attempt of a source"),
    Column("end", ColumnKind.TIME, "when it ended; the last attempt of a source"),
    Column(
        "ended", ColumnKind.TEXT, "how it ended: logout, down, crash, gone (nobody wrote how); none while it goes on"
    ),
    Column("tty", ColumnKind.TEXT, "terminal, or what stands for one"),
    Column("host", ColumnKind.TEXT, "where somebody came from, as written", masked=True),
    Column("address", ColumnKind.ADDRESS, "the address of that", masked=True),
    Column("pid", ColumnKind.INTEGER, "process that logged somebody in"),
    Column("session", ColumnKind.TEXT, "systemd-logind's name of a session"),
    Column("service", ColumnKind.TEXT, "PAM service of a login"),
    Column("class", ColumnKind.TEXT, "logind's class of a session: user, greeter, background and so on"),
    Column("state", ColumnKind.TEXT, "state of a session; gone: its process has ended"),
    Column("count", ColumnKind.INTEGER, "attempts of a source"),
    Column("names", ColumnKind.LIST, "names that a source tried, and how often"),
    Column("services", ColumnKind.LIST, "name services of a database, in order"),
    Column("odd", ColumnKind.LIST, "what is unusual about the entry"),
    Column("path", ColumnKind.PATH, "file that says so"),
    Column("line", ColumnKind.INTEGER, "line of that file"),
    Column("password_path", ColumnKind.PATH, "file the password is in"),
)
OPTIONS = (
    Parameter(
        name="ask",
        key="ask",
        many=True,
        choices=(*WHAT, "all"),
        metavar="WHAT",
        help="what rows are wanted about; users unless said otherwise; may be repeated",
    ),
    Parameter(
        name="root",
        key="root",
        metavar="DIRECTORY",
        check=absolute_path_or_none,
        help="look at the system whose file system is mounted here instead of at the endpoint's own",
    ),
)
