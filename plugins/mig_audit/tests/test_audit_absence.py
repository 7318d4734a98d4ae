"""The module on the real kernel, beside others and after its own sudden end: taken over, given back, gaps told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import kernel, netlink
from mig_audit.note import Position

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mig_audit.kernel import Kernel

    Serving = Callable[[Any], AbstractContextManager[None]]
    Commands = Callable[..., list[list[str]]]

EXEC = "-a always,exit -F arch=b64 -S execve -k mig-test-exec"
FOREIGN = "-a always,exit -F arch=b64 -S acct -k of-others"


PROGRAM = """
import json, logging, sys, threading
from pathlib import Path
from mig_audit import AuditModule

class Service:
    config = json.loads(sys.argv[1]); hostname = ""; environment = {}; tags = {}; state = Path(sys.argv[2])
    stopping = threading.Event()
    def log(self, level, message): print("log", message, flush=True)
    def status(self, status): pass
    def alert(self, alert, *, timeout=None): print(json.dumps(alert), flush=True); return True
    def answer_with(self, handler): print("ready", flush=True)

AuditModule().serve(Service())
"""


def started(config: dict[str, Any], state: Path) -> subprocess.Popen[str]:
    state.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(config), str(state)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return process
    raise AssertionError("the module's process did not start")


def test_after_a_kill_rules_are_taken_over_the_rest_restored_and_the_gap_told(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    extra = "-a always,exit -F arch=b64 -S mount -k no-longer-wanted"
    before = audit_kernel.status()
    process = started({"rules": [EXEC, extra]}, state)
    assert process.stdout is not None
    subprocess.run(["/bin/true", "seen"], check=True)
    assert any('"seen"' in line for line in iter(process.stdout.readline, ""))

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(20):
        subprocess.run(["/bin/true", "unseen"], check=True)
    left = len(audit_kernel.rules())
    service = make_service({"rules": [EXEC]}, state)
    with serving(service):
        during = len(audit_kernel.rules())
        subprocess.run(["/bin/true", "again"], check=True)
        service.wait_for(lambda: ["/bin/true", "again"] in commands(service))

    after = audit_kernel.status()
    assert (left, during, len(audit_kernel.rules())) == (2, 1, 0)
    assert (after.enabled, after.backlog_limit, after.pid) == (before.enabled, before.backlog_limit, 0)
    # The kernel may have kept some of them until somebody listened again.
    seen_late = sum(1 for one in commands(service) if one == ["/bin/true", "unseen"])
    told = sum(one["lost"].get("absent_events", 0) for one in service.of_type("audit_loss"))
    assert told + seen_late >= 20
    assert seen_late == 20 or service.of_type("audit_loss")[0]["serials"]


def test_killed_again_and_again_every_serial_is_delivered_or_told_as_missing(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    busy = threading.Event()

    def load() -> None:
        while not busy.is_set():
            os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)

    thread = threading.Thread(target=load)
    alerts: list[dict[str, Any]] = []
    thread.start()
    try:
        for pause in (0.31, 0.07, 0.53):
            process = started({"rules": [EXEC]}, state)
            time.sleep(pause)  # the moment is meant to be any
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            whole = process.stdout.read().rpartition("\n")[0]
            process.wait()
            process.stdout.close()
            alerts += [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        service = make_service({"rules": [EXEC]}, state)
        with serving(service):
            busy.set()
            thread.join()
            subprocess.run(["/bin/true", "last"], check=True)
            service.wait_for(lambda: ["/bin/true", "last"] in commands(service))
    finally:
        busy.set()
        thread.join()
    alerts += service.alerts

    delivered = {one["serial"] for one in alerts if "serial" in one}
    told = {
        serial
        for one in alerts
        if one["type"] == "audit_loss"
        for first, last in one["serials"]
        for serial in range(first, last + 1)
    }
    everything = set(range(min(delivered), max(one["serial"] for one in service.alerts if "serial" in one) + 1))
    assert everything - delivered - told == set()


def test_after_a_peaceful_end_there_is_no_gap_to_tell(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    first = make_service({"rules": [EXEC]})
    with serving(first):
        subprocess.run(["/bin/true"], check=True)
        first.wait_for(lambda: ["/bin/true"] in commands(first))

    assert Position(first.state).found == 0


def test_beside_another_daemon_the_module_listens_and_changes_nothing(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    other = started({"rules": [EXEC]}, tmp_path / "other")
    assert other.stdout is not None
    drain = threading.Thread(target=lambda stream: [None for _line in stream], args=(other.stdout,))
    drain.start()
    try:
        before, rules = audit_kernel.status(), audit_kernel.rules()
        service = make_service({"rules": [FOREIGN]})
        with serving(service):
            subprocess.run(["/bin/true", "heard"], check=True)
            service.wait_for(lambda: ["/bin/true", "heard"] in commands(service))
            assert audit_kernel.rules() == rules
            assert audit_kernel.status().pid == other.pid
            service.wait_for(lambda: service.last_status.get("mode") == "multicast")
        after = audit_kernel.status()
        assert (after.enabled, after.backlog_limit, after.pid) == (before.enabled, before.backlog_limit, other.pid)
    finally:
        other.kill()
        other.wait()
        drain.join()
        other.stdout.close()


def test_with_multicast_never_another_daemon_is_an_error(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    other = started({}, tmp_path / "other")
    assert other.stdout is not None
    try:
        service = make_service({"multicast": "never"})
        with pytest.raises(kernel.KernelRefused, match="another audit daemon"), serving(service):
            pass
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_the_module_takes_over_when_the_other_daemon_ends(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    other = started({}, tmp_path / "other")
    assert other.stdout is not None
    service = make_service({"rules": [EXEC]})
    with serving(service):
        other.kill()
        other.wait()
        other.stdout.close()
        # The kernel notices that the other is gone when it has something to say to it.
        audit_kernel.change(netlink.Status(mask=netlink.BACKLOG_LIMIT, backlog_limit=60_000), "a change")
        service.wait_for(lambda: service.last_status.get("mode") == "unicast")
        subprocess.run(["/bin/true", "owned"], check=True)
        service.wait_for(lambda: ["/bin/true", "owned"] in commands(service))
