"""Accounts as the C library sees them, held against what getent says of the same files."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_account import colon
from mig_account.colon import Library, NotTaken
from mig_account.ground import ELSEWHERE
from mig_account.groups import NO_GROUPS
from mig_account.password import judged
from mig_endpoint.testing.containers import contained

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ODD = "\n".join(
    (
        "root:x:0:0:root:/root:/bin/sh",
        " root2:x:0:0::/:/bin/sh",
        "#r3:x:0:0::/:/bin/sh",
        "r4:x:00:0::/:/bin/sh",
        "r5:x:0x0:0::/:/bin/sh",
        "r6:x: 0:0::/:/bin/sh",
        "r7:x:+0:0::/:/bin/sh",
        "r8:x:4294967296:0::/:/bin/sh",
        "r9:x:-1:0::/:/bin/sh",
        "r10:x::0::/:/bin/sh",
        "r11:x:0",
        "r12:x:0:0",
        "r13:x:4294967295:0::/:/bin/sh",
        ":x:0:0::/:",
        "r15:x:0:0::/:/bin/sh\r",
        "r16:x:5 :0::/:/bin/sh",
        "r17:x:-0:0::/:/bin/sh",
        "root:x:7:7:second:/root:/bin/sh",
        "eight:x:8:8:c:/home/eight:/bin/sh:more",
        "r21:x:0:",
        "long:x:9:9:" + "c" * 5000 + ":/:/bin/sh",
        "\tcaf\udcc3\udca9:x:10:10::/:/bin/sh",
        "nul:x:11:11::/:/bin/s\0h",
        "-r22:x:12:12::/:/bin/sh",
        "+r23:x:0:0:::",
        "last:x:13:13::/:/bin/sh",
    )
)
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"


def listed(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Names and numbers of all in the list; getent prints no numbers of entries for nss_compat."""
    return [
        (name, *(("", "") if name[:1] in ("+", "-") else (str(one["uid"]), str(one["gid"]))))
        for one in rows
        if "list" in one.get("found_by", ())
        for name in [one.get("name", "")]
    ]


@ROOT
def test_the_list_of_accounts_is_that_of_the_c_library(system: System) -> None:
    system.write("/etc/passwd", ODD)
    system.write("/etc/nsswitch.conf", NSSWITCH)

    found = system.rows()

    peer = [line.split(":") for line in system.within("getent", "passwd").split("\n") if line]
    assert [(fields[0], fields[2], fields[3]) for fields in peer] == [one for one in listed(found) if one[0] != "eight"]


@ROOT
def test_a_shell_with_a_colon_is_an_account_that_getent_does_not_print(system: System) -> None:
    system.write("/etc/passwd", ODD)
    system.write("/etc/nsswitch.conf", NSSWITCH)

    (row,) = system.rows(name=["^eight$"])

    assert row["shell"] == "/bin/sh:more"
    assert system.within("id", "-u", "eight").strip() == "8"


@ROOT
@pytest.mark.parametrize("key", ["root", "root2", "#r3", "r12", "-r22", "last", "café", "nul", "0", "7", "4294967295"])
def test_who_is_found_under_a_name_or_number_is_whom_the_c_library_finds(key: str, system: System) -> None:
    system.write("/etc/passwd", ODD)
    system.write("/etc/nsswitch.conf", NSSWITCH)
    how = "number" if key.isdigit() else "name"
    cell = "uid" if key.isdigit() else "name"

    found = [one for one in system.rows() if str(one.get(cell)) == key and how in one.get("found_by", ())]

    peer = system.within("getent", "passwd", key, status=None).split(":")
    assert [one.get("name") for one in found] == (peer[:1] if len(peer) > 1 else [])


def test_blanks_in_front_of_a_name_and_other_tricks_are_said(system: System) -> None:
    system.write("/etc/passwd", ODD)

    odd = {one.get("name"): one.get("odd", []) for one in system.rows()}

    assert odd["root2"] == ["blanks in front of the name"]
    assert odd["r4"] == ["id written as '00'"]
    assert odd["nul"] == ["a NUL, which ends the line"]
    assert odd["r15"] == ["a carriage return at its end"]
    assert odd["-r22"] == ["an entry for nss_compat, which only lists have"]


def test_lines_that_nobody_takes_are_counted_and_the_answer_stays_complete(system: System) -> None:
    system.write("/etc/passwd", ODD)
    system.write("/etc/shadow", "root:*:1:0:99999:7:::\n")

    coverage = system.ask().coverage

    assert coverage.complete
    assert [(one.reason, one.count) for one in coverage.skipped] == [
        ("line that name services do not take for an entry", 7)
    ]


def test_musl_makes_accounts_that_glibc_does_not(system: System) -> None:
    system.write("/lib/ld-musl-x86_64.so.1", "")
    system.write("/etc/passwd", f"{ODD}\n")

    found = {one.get("name"): one.get("uid") for one in system.rows()}

    assert found["#r3"] == 0
    assert found["r8"] == 0
    assert found["r10"] == 0
    assert found[" root2"] == 0
    assert "r12" not in found
    assert "root2" not in found


@pytest.mark.parametrize(
    ("loader", "name"), [("/lib/ld-musl-x86_64.so.1", "#r3"), ("/lib64/ld-linux-x86-64.so.2", "root2")]
)
def test_where_both_libraries_are_there_the_one_of_the_programs_counts(loader: str, name: str, system: System) -> None:
    for one in ("/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2"):
        system.write(one, "")
    system.write("/bin/sh", f"\x7fELF\0{loader}\0")
    system.write("/etc/passwd", ODD)

    assert name in [one.get("name") for one in system.rows()]


def test_names_that_would_steer_a_terminal_are_escaped_in_lines(system: System) -> None:
    system.write("/etc/passwd", "a\33[2Jb\u202e:x:1000:1000:\33]0;title\7:/:/bin/sh\n")

    lines = list(system.module.lines(system.ask(), found_only=False))

    assert not any(character in line for line in lines for character in "\33\7")


def test_all_with_user_id_0_are_found_and_who_shares_it(system: System) -> None:
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nada:x:1000:0::/:/bin/sh\n")

    zero = system.rows(uid=["0"], name=["!^root$"])

    assert [(one["name"], one["same_id"], one["found_by"]) for one in zero] == [("toor", ["root"], ["name", "list"])]
    assert [one["name"] for one in system.rows(gid=["0"])] == ["root", "toor", "ada"]


GROUPS = "\n".join(
    (
        "root:x:0:",
        "ada:x:1000:",
        " blank:x:27: ada,,root",
        "x:x:0x1:ada",
        "two:x:28:root,\tada",
        "same:x:27:bob",
        "nul:x:11:a\0b,ada",
        ":x:12:ada",
        "trail:x:14:ada ,bob",
        "#nobody said this:x:ada",
    )
)
HIDDEN = "#off:x:5:ada\n  # off:x:28:ada\n+compat:x:6:ada\n-compat:x::ada\n+bad:x:0x7:ada\n+short:x\n+\n"
"""Lines that no list of groups shows, and that make ada a member of groups 5, 28, 6 and 0."""


@ROOT
def test_groups_are_those_of_the_c_library(system: System) -> None:
    system.write("/etc/nsswitch.conf", NSSWITCH)
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n")
    system.write("/etc/group", GROUPS)

    found = system.rows(ask=["groups"], found_by=["^list$"])

    peer = [line.split(":") for line in system.within("getent", "group").split("\n") if line]
    ours = [(one.get("name", ""), str(one["gid"]), one.get("members", [])) for one in found]
    assert ours == [(name, gid, members.split(",") if members else []) for name, _, gid, members in peer]
    assert next(one["all_members"] for one in found if one.get("name") == "ada") == ["ada"]


@ROOT
def test_groups_of_an_account_are_those_that_it_gets_at_a_login_comments_included(system: System) -> None:
    system.write("/etc/nsswitch.conf", NSSWITCH)
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n")
    system.write("/etc/group", f"{GROUPS}\n{HIDDEN}")

    (ada,) = system.rows(name=["^ada$"])
    hidden = system.rows(ask=["groups"], odd=["comment"])

    peer = set(system.within("id", "-Gn", "ada", status=None).rstrip("\n").split(" ")) - {""}
    assert {*ada["groups"]} - {""} == peer
    assert {"5", "two", "6", "root"} <= peer
    assert [(one["name"], one["gid"], one["members"], one["found_by"]) for one in hidden] == [
        ("#off", 5, ["ada"], ["login"]),
        ("# off", 28, ["ada"], ["login"]),
    ]


def test_a_root_without_accounts_is_no_complete_answer(system: System) -> None:
    assert not system.ask().coverage.complete


def test_other_name_services_are_said_and_booked(system: System) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")
    system.write("/etc/shadow", "")
    system.write("/etc/nsswitch.conf", "passwd: files [NOTFOUND=return] sss ldap\nshadow:\tfiles\ngroup: compat\n")

    result = system.ask(ask=["users", "services"])

    services = {one["name"]: one["services"] for one in system.module.rows(result) if one["what"] == "services"}
    assert services["passwd"] == ["files", "[NOTFOUND=return]", "sss", "ldap"]
    (skipped,) = result.coverage.skipped
    assert skipped.examples == ("passwd: sss", "passwd: ldap")
    assert not result.coverage.complete


@pytest.mark.parametrize(("more", "complete"), [("", True), ("+eve::::::\n", False)])
def test_compat_is_files_unless_they_have_entries_for_it(more: str, system: System, *, complete: bool) -> None:
    system.write("/etc/passwd", f"ada:x:1000:1000::/:/bin/sh\n{more}")
    system.write("/etc/shadow", "ada:*:1:0:99999:7:::\n")
    system.write("/etc/nsswitch.conf", "passwd: compat\nshadow: compat\ngroup: compat\n")

    assert system.ask().coverage.complete is complete


def test_other_files_of_accounts_are_read_where_nsswitch_names_them(system: System) -> None:
    system.write("/etc/nsswitch.conf", "passwd: files altfiles extrausers\n")
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")
    system.write("/usr/lib/passwd", "ada:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
    system.write("/var/lib/extrausers/passwd", "eve:x:0:0::/:/bin/sh\n")

    found = [(one["path"], one["name"], one["found_by"]) for one in system.rows()]

    assert found == [
        ("/etc/passwd", "ada", ["name", "number", "list"]),
        ("/usr/lib/passwd", "ada", ["number", "list"]),
        ("/usr/lib/passwd", "root", ["name", "list"]),
        ("/var/lib/extrausers/passwd", "eve", ["name", "list"]),
    ]


def test_the_home_says_whose_it_is_and_the_shell_whether_it_is_there(system: System) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/zsh\nbob:x:1001:1000::/gone:/bin/nologin\n")
    system.write("/home/ada/x", "")
    (system.root / "home/ada").chmod(0o777)
    system.write("/bin/zsh", "", 0o755)
    system.write("/bin/nologin", "", 0o755)

    ada, bob = system.rows()

    assert (ada["home_owner"], ada["home_mode"], ada["shell_works"]) == (os.geteuid(), "0777", True)
    assert "a home directory that everybody may write to" in ada["odd"]
    assert ("home_owner" in bob, bob["shell_works"]) == (False, False)


@given(
    raw=st.binary(max_size=80) | st.lists(st.sampled_from([b":", b"x", b"0", b" ", b"-", b"\0", b"#"])).map(b"".join)
)
@settings(deadline=None)
def test_reading_a_line_is_total(raw: bytes) -> None:
    for library in Library:
        colon.is_comment(raw, library)
        for read in (colon.read_passwd, colon.read_group):
            with contextlib.suppress(NotTaken):
                read(raw, library)
    for read_secret in (colon.read_shadow, colon.read_gshadow):
        with contextlib.suppress(NotTaken):
            read_secret(raw)
    judged(raw)


def test_where_there_is_no_file_of_groups_the_answer_says_so(system: System) -> None:
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")

    result = system.ask(ask=["groups"])

    assert [one.reason for one in result.coverage.skipped] == [NO_GROUPS.text]


def test_a_containers_accounts_are_read_and_its_network_mounts_not_waited_for(system: System) -> None:
    system.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n")
    (system.root / "home/ada").mkdir(parents=True)

    with contained(system.root, silent="/home/ada") as root:
        answer = system.ask(root=root, ask=["all"])

    assert {row["name"] for row in system.module.rows(answer) if row["what"] == "users"} == {"root", "ada"}
    skipped = {one.reason: one.examples for one in answer.coverage.skipped}
    assert skipped[ELSEWHERE.text][0] == "/home/ada"
    assert not answer.coverage.complete
