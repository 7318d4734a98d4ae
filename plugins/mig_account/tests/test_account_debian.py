"""Accounts of systems that debootstrap made, held against their own getent and sudo: see ``DEBIAN_ROOTS``."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from mig_account import AccountModule
from mig_endpoint.testing.systems import DEBIAN_ROOTS, System

pytestmark = pytest.mark.skipif(
    not DEBIAN_ROOTS or os.geteuid() != 0, reason="as root, and MIG_DEBIAN_ROOTS names no system made by debootstrap"
)


def within(root: str, *command: str) -> str:
    """What a program of that system says."""
    return subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("root", DEBIAN_ROOTS)
def test_users_are_those_that_getent_lists(root: str) -> None:
    theirs = {
        tuple(line.split(":")[index] for index in (0, 2, 3, 6))
        for line in within(root, "getent", "passwd").splitlines()
    }

    rows = System(Path(root), AccountModule()).rows()

    mine = {(row["name"], str(row["uid"]), str(row["gid"]), row.get("shell", "")) for row in rows}
    assert mine == theirs


@pytest.mark.parametrize("root", DEBIAN_ROOTS)
def test_what_root_may_run_is_what_sudo_lists(root: str) -> None:
    listed = within(root, "sudo", "-ll", "-U", "root")
    theirs = re.findall(r"^\t(\S.*)$", listed, re.MULTILINE)

    rows = System(Path(root), AccountModule()).rows(ask=["sudo"])

    (mine,) = [row for row in rows if row.get("decides_for") == ["root"]]
    assert (mine["commands"], mine["run_as"]) == (theirs, re.findall(r"RunAsUsers: (.*)", listed))
    settings = [row["setting"].replace('"', "").replace(":", r"\:") for row in rows if row["kind"] == "sudo defaults"]
    assert settings == re.split(r",\s+", re.findall(r"Defaults entries.*\n((?:    .*\n)+)", listed)[0].strip())
