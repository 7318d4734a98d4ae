"""Accounts that no file of passwd has: systemd's records, held against what nss-systemd says of the same files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

PASSWD = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/:/bin/sh\n"
NSSWITCH = "passwd: files systemd\ngroup: files systemd\nshadow: files systemd\n"


def record(**members: object) -> str:
    return json.dumps({"userName": "eve", "uid": 61999, "gid": 61999, "disposition": "regular", **members})


@pytest.fixture(autouse=True)
def files(system: System) -> None:
    system.write("/etc/nsswitch.conf", NSSWITCH)
    system.write("/etc/passwd", PASSWD)
    system.write("/etc/shadow", "")
    system.write("/etc/group", "root:x:0:\nsudo:x:27:\n")


def test_a_record_without_the_link_of_its_number_is_found_by_name_only(system: System) -> None:
    system.write("/etc/userdb/eve.user", record(uid=0))
    system.write("/run/userdb/mallory.user", record(userName="mallory"))
    (system.root / "run/userdb/61999.user").symlink_to("mallory.user")

    found = {one["name"]: one for one in system.rows(path=["userdb"])}

    assert (found["eve"]["uid"], found["eve"]["found_by"], found["eve"]["same_id"]) == (0, ["name"], ["root"])
    assert found["mallory"]["found_by"] == ["name", "number", "list"]


def test_of_a_name_in_both_the_file_wins(system: System) -> None:
    system.write("/etc/userdb/ada.user", record(userName="ada", uid=0))

    (row,) = system.rows(path=["userdb"])

    assert (row["name"], row.get("found_by")) == ("ada", None)


def test_the_first_folder_wins_and_an_empty_file_masks(system: System) -> None:
    system.write("/etc/userdb/eve.user", "")
    system.write("/usr/lib/userdb/eve.user", record())

    assert system.rows(path=["userdb"]) == []


def test_a_membership_is_a_file_and_an_empty_one_masks(system: System) -> None:
    system.write("/etc/userdb/eve.user", record(memberOf="adm"))
    system.write("/etc/userdb/eve:sudo.membership", "{}")
    system.write("/etc/userdb/ada:sudo.membership", "")
    system.write("/usr/lib/userdb/ada:sudo.membership", "{}")

    users = {one["name"]: one for one in system.rows()}
    (sudo,) = system.rows(ask=["groups"], name=["^sudo$"])

    assert users["eve"]["groups"] == ["61999", "sudo", "adm"]
    assert users["ada"]["groups"] == ["1000"]
    assert sudo["all_members"] == ["eve"]


def test_password_and_lock_of_a_record_are_told_and_the_hash_is_not(system: System) -> None:
    system.write("/etc/userdb/eve.user", record(locked=True))
    system.write("/etc/userdb/eve.user-privileged", '{"privileged": {"hashedPassword": ["$6$salt$hash"]}}', 0o600)

    result = system.ask(path=["userdb"])

    (row,) = system.module.rows(result)
    assert (row["password"], row["method"], row["password_opens"]) == ("locked", "sha512crypt", False)
    assert "$6$salt" not in json.dumps(result.to_json())


def test_what_is_said_for_this_machine_counts(system: System) -> None:
    system.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    mine = {"matchMachineId": "0123456789abcdef0123456789abcdef", "uid": 0}
    other = {"matchMachineId": ["00000000000000000000000000000000"], "shell": "/bin/false"}
    system.write("/etc/userdb/eve.user", record(perMachine=[mine, other]))

    (row,) = system.rows(path=["userdb"])

    assert (row["uid"], row["shell"]) == (0, "/bin/bash")


def test_users_of_running_services_are_read_from_their_links(system: System) -> None:
    folder = system.root / "run/systemd/dynamic-uid"
    folder.mkdir(parents=True)
    (folder / "direct:61234").symlink_to("worker")
    (folder / "direct:worker").symlink_to("61234")

    (row,) = system.rows(path=["dynamic-uid"])

    assert (row["name"], row["uid"]) == ("worker", 61234)


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "9" * 10_000, '{"userName": "' + "a" * (2 << 20), "\0", '"x"'])
def test_a_damaged_record_is_booked_and_the_others_are_read(content: str, system: System) -> None:
    system.write("/etc/userdb/bad.user", content)
    system.write("/etc/userdb/eve.user", record())

    result = system.ask(path=["userdb"])

    assert [one["name"] for one in system.module.rows(result)] == ["eve"]
    assert not result.coverage.complete


def test_cells_of_the_wrong_kind_are_not_believed(system: System) -> None:
    system.write("/etc/userdb/eve.user", record(uid=-1, gid=True, shell=["x"], memberOf={"a": 1}, realName=None))

    (row,) = system.rows(path=["userdb"])

    assert ("uid" in row, "gid" in row, row["shell"]) == (False, False, "/bin/bash")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(not list(Path("/").glob("lib/*/libnss_systemd.so.2")), reason="libnss-systemd is not installed")
def test_nss_systemd_says_the_same_of_a_name_and_a_number(system: System) -> None:
    if Path("/etc/userdb").exists():
        pytest.skip("this machine has records of its own")
    for name in ("eve.user", "mallory.user", "61998.user"):
        who = "eve" if name == "eve.user" else "mallory"
        number = 61999 if who == "eve" else 61998
        system.write(f"/etc/userdb/{name}", record(userName=who, uid=number, gid=number))
    for who, number in (("plain", 1500), ("service", 61500), ("zero", 0)):
        system.write(f"/etc/userdb/{who}.user", f'{{"userName": "{who}", "uid": {number}}}')

    rows = {one["name"]: one for one in system.rows(path=["userdb"])}
    found = {name: row["found_by"] for name, row in rows.items()}

    def said(key: str) -> str:
        copied = f"mkdir /run/userdb && cp {system.root}/etc/userdb/* /run/userdb/"
        return system.within("sh", "-c", f"mount -t tmpfs none /run && {copied} && getent passwd {key}", status=None)

    for name in ("plain", "service", "zero"):
        cells = [str(rows[name][one]) for one in ("name", "uid", "gid", "comment", "home", "shell")]
        fields = said(name).strip().split(":")
        assert cells == [*fields[:1], *fields[2:]]

    def asked(key: str) -> bool:
        return bool(said(key))

    assert (asked("eve"), asked("61999")) == ("name" in found["eve"], "number" in found["eve"])
    assert (asked("mallory"), asked("61998")) == ("name" in found["mallory"], "number" in found["mallory"])
