"""Rules of sudo, held against what sudo -ll -U says of the same files; sudo-rs, doas and polkit by what was seen."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_account.sudo_lines import SudoLine
from mig_account.sudoers import NotASudoLine, Policy

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

PEER = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("sudo") is None, reason="needs root, and sudo to compare with"
)
PASSWD = (
    "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/h:/bin/sh\nalice:x:1001:27::/h:/bin/sh\nada:x:1002:1000::/h:/bin/sh\n"
    "eve:x:1003:1000::/h:/bin/sh\n"
)
SUDOERS = r"""
Defaults env_reset, exempt_group=ex
Defaults:ada !authenticate
User_Alias ADMINS = alice, %sudo, !bob : NOBODY = !ALL
User_Alias NESTED = ADMINS, eve
Cmnd_Alias SHELLS = /bin/sh, /bin/bash
Cmnd_Alias OTHERS = SHELLS, !/bin/bash, /bin/dash -c *
Host_Alias WEB = web1, web2
Runas_Alias OPS = www, %ops
# a comment that ends in a backslash does not go on \
bob ALL = (root) NOPASSWD: /bin/a, PASSWD: /bin/b, (alice) /bin/c, NOEXEC: /bin/d, !/bin/e, NOPASSWD: !/bin/f, ALL \
  : HOST2 = /bin/g
ADMINS ALL=(ALL:ALL) SHELLS, /usr/bin/x a\,b c\=d "e f"
%sudo   ALL=(ALL:ALL) ALL
#1000 ALL=/bin/k
%#27 ALL=(:adm) /bin/l
NESTED ALL=(OPS) OTHERS
ALL, !bob !web1, ALL = sudoedit /etc/x
ALL !web1 = /bin/never
!root ALL=ALL
bob WEB = /bin/no
ada ALL = CWD=/tmp NOTBEFORE=20200101000000Z /bin/m, \
  sha224:0GomF8mNN3wlDt1HD9XldjJ3SNgpFdbjO1+NsQ== /bin/n
eve ALL = /usr/bin/y ^[a-z,]+$, /bin/list "", ^/usr/bin/z.*$
eve ALL = (ALL, !root) NOPASSWD:SETENV: ALL # behind a rule
NOBODY ALL = ALL
eve ALL = this is no command
@include /etc/sudoers.d/inc
#includedir /etc/sudoers.d
"""


@pytest.fixture(autouse=True)
def files(system: System) -> None:
    system.write("/etc/passwd", PASSWD)
    system.write("/etc/group", "root:x:0:\nsudo:x:27:ada\nex:x:28:bob\n")
    system.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nsudoers: files\n")
    system.write("/etc/shadow", "root:*:20000:0:99999:7:::\n")


def told(rows: list[dict[str, Any]], user: str) -> list[tuple[str, str, str, str]]:
    """Run-as users and groups, whether a tag says anything of a password, and command, as sudo -ll has them."""
    found = []
    for row in rows:
        if user not in row.get("users", []) or not row["here"]:
            continue
        tags = row.get("tags", [])
        password = "no" if "NOPASSWD" in tags else "yes" if "PASSWD" in tags else ""
        run_as = ", ".join(row["run_as"]).replace("oneself", user)
        for command in row["commands"] if row["allowed"] else [f"!{one}" for one in row["commands"]]:
            found.append((run_as, ", ".join(row.get("run_as_groups", [])), password, command.replace("!!", "")))
    return found


def said(printed: str) -> list[tuple[str, str, str, str]]:
    """The same from what sudo -ll -U prints."""
    found = []
    for entry in printed.split("Sudoers entry:")[1:]:
        cells = dict(re.findall(r"^    (\w+): (.*)$", entry, re.MULTILINE))
        options = cells.get("Options", "").split(", ")
        password = "no" if "!authenticate" in options else "yes" if "authenticate" in options else ""
        for command in re.findall(r"^\t(.*)$", entry, re.MULTILINE):
            found.append(
                (
                    cells.get("RunAsUsers", ""),
                    cells.get("RunAsGroups", ""),
                    password,
                    re.sub("^sha224:[^ ]* ", "", command),
                )
            )
    return found


@PEER
@pytest.mark.parametrize("user", ["bob", "alice", "ada", "eve", "root"])
def test_the_rules_of_a_user_are_those_that_sudo_lists(user: str, system: System) -> None:
    system.write("/etc/sudoers", SUDOERS.lstrip(), 0o440)
    system.write("/etc/sudoers.d/inc", "alice ALL = /bin/included\n", 0o440)
    system.write("/etc/sudoers.d/X_1", "alice ALL = /bin/x1\n", 0o440)
    system.write("/etc/sudoers.d/a b", "alice ALL = /bin/blank\n", 0o440)
    (system.root / "etc/sudoers.d/link").symlink_to("X_1")
    for name in ("x.conf", "x~", ".hidden"):
        system.write(f"/etc/sudoers.d/{name}", "alice ALL = /bin/never\n", 0o440)
    system.write("/etc/sudoers.d/open", "alice ALL = /bin/unsafe\n", 0o666)

    rows = [one for one in system.rows(ask=["sudo"], kind=["^sudo$"]) if one["in_force"]]

    peer = said(system.within("sudo", "-ll", "-U", user, status=None))
    assert sorted(told(rows, user)) == sorted(peer)
    assert peer


def test_a_password_is_not_asked_for_by_tags_and_by_defaults(system: System) -> None:
    lines = (
        "Defaults !authenticate", "Defaults:eve authenticate", "bob ALL=/bin/a", "eve ALL=/bin/b",
        "bob ALL=PASSWD: /bin/c", "Defaults!/bin/d authenticate", "bob ALL=/bin/d",
    )  # fmt: skip
    system.write("/etc/sudoers", "\n".join(lines), 0o440)

    asks = {one["command"]: one["asks_password"] for one in system.rows(ask=["sudo"], kind=["^sudo$"])}

    assert asks == {"/bin/a": False, "/bin/b": True, "/bin/c": True, "/bin/d": True}


def test_members_of_the_exempt_group_are_a_row_of_their_own(system: System) -> None:
    system.write("/etc/sudoers", "Defaults exempt_group=ex\nbob, eve ALL=ALL\n", 0o440)

    found = system.rows(ask=["sudo"], kind=["^sudo$"])

    assert [(one["users"], one["asks_password"]) for one in found] == [(["bob"], False), (["eve"], True)]


@pytest.mark.parametrize(
    ("later", "decides"),
    [
        ("%sudo ALL=(ALL) ALL", [[], ["ada", "alice"]]),
        ("ada ALL=(alice) ALL", [["ada"], ["ada"]]),
        ("ada ALL=(ALL) !ALL", [[], ["ada"]]),
        ("ada OTHER=(ALL) ALL", [["ada"], ["ada"]]),
        ("bob ALL=(ALL) ALL", [["ada"], ["bob"]]),
    ],
)
def test_of_two_rules_the_later_one_decides(later: str, decides: list[list[str]], system: System) -> None:
    system.write("/etc/sudoers", f"ada ALL=(ALL) NOPASSWD: ALL\n{later}\n", 0o440)

    found = system.rows(ask=["sudo"], kind=["^sudo$"])

    assert [one.get("decides_for", []) for one in found] == decides


def test_files_that_include_themselves_end(system: System) -> None:
    system.write("/etc/sudoers", "@include /etc/sudoers.d/a\nada ALL=ALL\n", 0o440)
    system.write("/etc/sudoers.d/a", "@include /etc/sudoers\n@includedir /etc/sudoers.d\nbob ALL=ALL\n", 0o440)

    result = system.ask(ask=["sudo"])

    assert result.success
    assert not result.coverage.complete
    assert {one["name"] for one in system.module.rows(result)} >= {"ada", "bob"}


def test_aliases_that_name_themselves_end(system: System) -> None:
    aliases = "User_Alias A = B, B, B, B : B = A, A, A, ada : E = E, E\nCmnd_Alias C = C, C, /bin/x\n"
    deep = "".join(f"User_Alias D{n} = D{n + 1}, D{n + 1}, D{n + 1}\n" for n in range(90)) + "User_Alias D90 = bob\n"
    system.write("/etc/sudoers", f"{aliases}{deep}A, E, D0 ALL=C\n", 0o440)

    (row,) = system.rows(ask=["sudo"])

    assert row["users"] == ["ada", "bob"]
    assert row["commands"] == ["/bin/x"]


def test_another_file_of_rules_that_sudo_conf_names_is_read(system: System) -> None:
    conf = "Plugin sudoers_policy sudoers.so sudoers_file=/etc/hidden\nPlugin other_policy other.so\n"
    system.write("/etc/sudo.conf", conf)
    system.write("/etc/sudoers", "bob ALL=ALL\n", 0o440)
    system.write("/etc/hidden", "ada ALL=ALL\n", 0o440)

    result = system.ask(ask=["sudo"])

    assert [(one["name"], one["path"]) for one in system.module.rows(result)] == [("ada", "/etc/hidden")]
    assert "policy plugin of sudo that is not read" in [one.reason for one in result.coverage.skipped]


def test_rules_that_nsswitch_does_not_name_are_not_in_force(system: System) -> None:
    system.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nsudoers: sss\n")
    system.write("/etc/sudoers", "bob ALL=ALL\n", 0o440)

    result = system.ask(ask=["sudo"])

    assert [one["in_force"] for one in system.module.rows(result)] == [False]
    assert not result.coverage.complete


def test_sudo_rs_reads_its_own_file_and_drops_what_it_refuses(system: System) -> None:
    system.write("/usr/bin/sudo-rs", "", 0o4755)
    system.write("/etc/sudoers", "bob ALL=ALL\n", 0o440)
    lines = ("ada ALL=ALL", "ada ALL=NOEXEC: /bin/a", "+net ALL=ALL", "ada ALL=^/bin/b$", "ada ALL=sudoedit /etc/x")
    system.write("/etc/sudoers-rs", "\n".join(lines), 0o440)

    found = system.rows(ask=["sudo"], kind=["^sudo-rs$"])

    assert [one["in_force"] for one in found] == [True, False, False, False, False]
    assert [one["name"] for one in system.rows(ask=["sudo"], kind=["^sudo$"])] == ["bob"]


def test_netgroups_are_not_asked_for_and_that_is_booked(system: System) -> None:
    system.write("/etc/sudoers", "+admins, bob ALL=ALL\nada +hosts=ALL\n", 0o440)

    result = system.ask(ask=["sudo"])

    first, second = system.module.rows(result)
    assert (first["users"], second["here"]) == (["bob"], None)
    assert not result.coverage.complete


def test_rules_of_doas_are_resolved(system: System) -> None:
    lines = (
        "# nothing", "permit nopass keepenv setenv { A=b -C } :sudo as root cmd /bin/x args -a 'b c'", "deny bob",
        "permit 1002", "perhaps eve", "permit persist \\", "  eve as www",
    )  # fmt: skip
    system.write("/etc/doas.conf", "\n".join(lines), 0o600)

    result = system.ask(ask=["sudo"])

    cells = ("users", "run_as", "command", "allowed", "asks_password")
    assert [tuple(one[cell] for cell in cells) for one in system.module.rows(result)] == [
        (["ada", "alice"], ["root"], "/bin/x -a b c", True, False),
        (["bob"], ["ALL"], "ALL", False, True),
        (["ada"], ["ALL"], "ALL", True, True),
        (["eve"], ["www"], "ALL", True, True),
    ]
    assert not result.coverage.complete


def test_rules_of_polkit_say_what_they_name_and_not_whom_they_mean(system: System) -> None:
    rule = """
    // polkit.Result.NO
    polkit.addRule(function(action, subject) {
        if (action.id == "org.example.do" && (subject.isInGroup("sudo") || subject.user == "eve"))
            return polkit.Result.YES; });
    """
    system.write("/etc/polkit-1/rules.d/10-a.rules", rule)
    system.write("/usr/share/polkit-1/rules.d/10-a.rules", "polkit.Result.AUTH_ADMIN")
    section = "[x]\nIdentity=unix-group:sudo;unix-user:eve\nAction=org.example.*\nResultAny=no\nResultActive=yes\n"
    system.write("/var/lib/polkit-1/localauthority/10-vendor.d/a.pkla", section)

    rules, older = system.rows(ask=["sudo"])

    assert (rules["name"], rules["commands"], rules["tags"], rules["users"]) == (
        "%sudo, eve",
        ["org.example.do"],
        ["YES"],
        None,
    )
    assert (older["users"], older["asks_password"]) == (["ada", "alice", "eve"], False)


def test_an_ordinary_user_is_told_that_the_rules_were_not_read(system: System, ordinary: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    system.write("/etc/sudoers", "bob ALL=ALL\n", 0o440)

    with ordinary():
        result = system.ask(ask=["sudo"])

    assert not result.found
    assert "/etc/sudoers" in [name for one in result.coverage.skipped for name in one.examples]


WORDS = [
    "ALL",
    "=",
    "(",
    ")",
    ":",
    ",",
    "!",
    "NOPASSWD:",
    "/bin/x",
    "a",
    "%g",
    "#1",
    "User_Alias",
    "A",
    "\\",
    '"',
    " ",
    "sha256:",
]


@given(text=st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join))
@settings(deadline=None)
def test_reading_a_line_is_total(text: str) -> None:
    with contextlib.suppress(NotASudoLine):
        Policy().add(SudoLine(text, "/etc/sudoers", 1))
