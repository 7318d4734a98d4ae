"""The registration with the kernel when others want it too, on the real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_audit import netlink, rule_fields, rule_line
from mig_audit.note import Notebook
from mig_audit.registration import Registration
from mig_audit.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_audit.kernel import Kernel

DAEMON = """
import os, sys
from mig_audit import kernel, netlink
asked = kernel.Kernel()
asked.change(netlink.Status(mask=netlink.PID, pid=os.getpid()), "register")
asked.change(netlink.Status(mask=netlink.ENABLED, enabled=1), "on")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def registration(audit_kernel: Kernel, tmp_path: Path) -> Iterator[Registration]:
    rule, _note = rule_line.read("-a always,exit -F arch=b64 -S acct -k ours", rule_fields.AccountNumbers())
    assert rule is not None
    opened = Registration(Settings(), [rule], Notebook(tmp_path), lambda _level, _text: None, lambda: "now")
    opened.open()
    yield opened
    opened.close()
    opened.end()


def test_a_daemon_that_was_faster_keeps_auditing_and_its_settings(
    audit_kernel: Kernel, registration: Registration
) -> None:
    audit_kernel.change(netlink.Status(mask=netlink.PID), "as if the kernel had dropped us")
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        theirs = audit_kernel.status()

        reclaimed = registration.reclaim()
        registration.close()

        after = audit_kernel.status()
        other.kill()
    assert not reclaimed
    assert theirs.pid == other.pid
    assert (after.pid, after.enabled, after.backlog_limit) == (theirs.pid, 1, theirs.backlog_limit)
    assert audit_kernel.rules() == []


def test_a_daemon_that_was_dropped_registers_again_and_gives_everything_back(
    audit_kernel: Kernel, registration: Registration
) -> None:
    audit_kernel.change(netlink.Status(mask=netlink.PID), "as if the kernel had dropped us")

    dropped = registration.check()
    reclaimed = registration.reclaim()
    during = audit_kernel.status()
    registration.close()

    after = audit_kernel.status()
    assert (dropped, reclaimed) == ("dropped", True)
    assert (during.pid, during.enabled) == (os.getpid(), 1)
    assert (after.pid, after.enabled, audit_kernel.rules()) == (0, 0, [])
