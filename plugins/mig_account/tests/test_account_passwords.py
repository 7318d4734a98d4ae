"""Passwords of accounts: what shadow says of them, against the C library and chage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_account.password import judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_endpoint.testing.systems import System

NSSWITCH = "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@ROOT
def test_lines_of_shadow_are_those_that_the_c_library_takes(system: System) -> None:
    values = ("-1", "4294967295", "4294967294", "4294967296", "2147483648", "+5", " 5", "5 ", "0x5", "-0", "", "19000")
    names = [f"u{place}" for place in range(len(values))]
    other = ("a:*:1:0:9", "b:*:1:0:9:", "c:*:1:0:9:7", "d:*:1:0:9:7:", "e:*:1:0:9:7:1", "f:*:1:0:9:7:1:2", "g:*:1:0:")
    more = (
        " h:*:1:0:9:7:1:2:",
        "i:*:1:0:9:7:1:2:3:4",
        "j:*:1",
        "k:*:::::::",
        "l:*::::",
        "m:*:1:0:9:7:1:",
        "#n:*:::::::",
    )
    lines = [f"{name}:*:{value}:0:99999:7:::" for name, value in zip(names, values, strict=True)]
    system.write("/etc/shadow", "\n".join((*lines, *other, *more)))
    everybody = [*names, *"abcdefghijklmn"]
    system.write("/etc/passwd", "".join(f"{name}:x:{place}:0:::\n" for place, name in enumerate(everybody)))
    system.write("/etc/nsswitch.conf", NSSWITCH)

    taken = {one["name"] for one in system.rows(password=["!^missing$"])}

    assert taken == {line.split(":")[0] for line in system.within("getent", "shadow").split("\n") if line}


@ROOT
@pytest.mark.skipif(shutil.which("chage") is None, reason="chage is not installed")
@pytest.mark.parametrize(
    "days", ["20000:0:99999:7:::", "20000:1:30:7:10:20800:", "0:0:99999:7:::", "20000:::::0:", "::::::"]
)
def test_ages_of_a_password_are_those_that_chage_says(days: str, system: System) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")
    system.write("/etc/shadow", f"ada:*:{days}\n")
    system.write("/etc/nsswitch.conf", NSSWITCH)

    (row,) = system.rows()

    said = dict(line.split("\t", 1) for line in system.within("chage", "-i", "-l", "ada").splitlines())
    peer = {name.strip(" \t:"): value.strip(" \t:") for name, value in said.items()}
    changed = peer["Last password change"]
    assert (row.get("changed", "")[:10] or "never") == changed.replace("password must be changed", "never")
    assert row["must_change"] == ("must" in changed or row.get("max_days") == 30)
    if "20800" in days:
        assert row["expires"][:10] == peer["Account expires"]
    assert str(row.get("min_days", -1)) == peer["Minimum number of days between password change"]
    assert str(row.get("max_days", -1)) == peer["Maximum number of days between password change"]


@pytest.mark.parametrize(
    ("expiry", "expired"),
    [("", False), ("0", True), ("1", True), ("20775", True), ("20776", False), ("4294967295", False)],
)
def test_an_account_is_closed_from_its_day_on_and_on_day_0_too(expiry: str, *, expired: bool, system: System) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")
    system.write("/etc/shadow", f"ada:$y$j9T$salt$hash:20000:0:99999:7::{expiry}:\n")
    system.write("/bin/sh", "", 0o755)

    (row,) = system.rows()

    assert row["expired"] is expired
    assert row["password_opens"] is not expired


@pytest.mark.parametrize(
    ("field", "state", "method", "cost", "strength"),
    [
        ("*", "impossible", "", "", ""),
        ("!", "locked", "", "", ""),
        ("!!", "locked", "", "", ""),
        ("*LK*", "locked", "", "", ""),
        ("!$y$j9T$salt$hash", "locked", "yescrypt", "N=2^12", "strong"),
        ("", "empty", "", "", ""),
        ("$6$salt$hash", "set", "sha512crypt", "rounds=5000", "fair"),
        ("$6$rounds=656000$salt$hash", "set", "sha512crypt", "rounds=656000", "strong"),
        ("$5$rounds=1000$salt$hash", "set", "sha256crypt", "rounds=1000", "weak"),
        ("$2b$12$saltandhash", "set", "bcrypt", "cost=12", "strong"),
        ("$1$salt$hash", "set", "md5crypt", "", "weak"),
        ("abJnggxhB/yWI", "set", "descrypt", "", "weak"),
        ("nonsense", "impossible", "", "", ""),
    ],
)
def test_a_password_is_judged_and_its_hash_stays(
    field: str, state: str, method: str, cost: str, strength: str, system: System
) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\n")
    system.write("/etc/shadow", f"ada:{field}:20000:0:99999:7:::\n")

    result = system.ask()

    (row,) = system.module.rows(result)
    assert [row.get(one, "") for one in ("password", "method", "cost", "strength")] == [state, method, cost, strength]
    assert not field or len(field) < 4 or field not in json.dumps(result.to_json())


def test_a_hash_in_passwd_counts_and_the_one_in_shadow_does_not(system: System) -> None:
    system.write("/etc/passwd", "ada:$1$salt$hash:1000:1000::/:/bin/sh\nbob::1001:1001::/:/bin/sh\n")
    system.write("/etc/shadow", "ada:!:20000:0:99999:7:::\nbob:!:20000:0:99999:7:::\n")

    ada, bob = system.rows()

    assert (ada["password"], ada["method"], ada["password_path"]) == ("set", "md5crypt", "/etc/passwd")
    assert bob["password"] == "empty"


@ROOT
def test_yescrypt_s_cost_is_that_of_libxcrypt(system: System) -> None:
    hashed = subprocess.run(
        ["perl", "-e", 'print crypt("secret", "\\$y\\$j9T\\$abcdefgh\\$")'], capture_output=True, text=True, check=False
    ).stdout

    found = judged(hashed.encode())

    assert hashed.startswith("$y$")
    assert (found.state, found.method, found.cost) == ("set", "yescrypt", "N=2^12")


@ROOT
def test_an_ordinary_user_is_told_that_the_passwords_were_not_read(system: System, ordinary: Callable[[], Any]) -> None:
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\nbob::1001:1001::/:/bin/sh\n")
    system.write("/etc/shadow", "ada:*:20000:0:99999:7:::\n", 0o600)

    with ordinary():
        result = system.ask()

    ada, bob = system.module.rows(result)
    assert (ada["password"], ada["password_opens"], ada["expired"]) == (None, False, None)
    assert bob["password"] == "empty"
    assert not result.coverage.complete
    assert ("permission denied", ("/etc/shadow",)) in [(one.reason, one.examples) for one in result.coverage.skipped]


def test_who_is_behind_the_end_of_what_was_read_of_shadow_has_an_unknown_password(
    system: System, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mig_account.directory.MAX_ENTRIES", 2)
    system.write("/etc/passwd", "ada:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n")
    system.write("/etc/shadow", "x:*:1:0:99999:7:::\nada:*:1:0:99999:7:::\nbob:*:1:0:99999:7:::\n")

    ada, bob = system.rows()

    assert (ada["password"], bob["password"], bob["expired"]) == ("impossible", None, None)
