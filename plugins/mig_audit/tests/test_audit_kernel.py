"""The module on the real kernel: every execve accounted for, /etc/passwd watched, a kill survived, all given back.

One test owns the kernel's audit subsystem at a time. Only processes that were started after auditing was first switched
on since boot carry an audit context; those of these tests are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import rule_fields, rule_line
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mig_audit.kernel import Kernel

    Serving = Callable[[Any], AbstractContextManager[None]]
    Commands = Callable[..., list[list[str]]]

EXEC = "-a always,exit -F arch=b64 -S execve -k mig-test-exec"
FOREIGN = "-a always,exit -F arch=b64 -S acct -k of-others"


def load(asked: Kernel, line: str) -> bytes:
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
    assert made is not None
    packed = made.pack()
    asked.add(packed, line)
    return packed


def test_a_thousand_execves_at_speed_are_all_there(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any]
) -> None:
    service = make_service({"rules": [EXEC]})
    numbers = [str(number) for number in range(1000)] + ["the last"]

    with serving(service):
        for number in numbers:
            os.waitpid(os.posix_spawn("/bin/true", ["/bin/true", "mig", number], {}), 0)
        service.wait_for(lambda: ["/bin/true", "mig", "the last"] in commands(service)[-2000:])

    assert [one[2] for one in commands(service) if one[1:2] == ["mig"]] == numbers
    assert not service.of_type("audit_loss")
    assert set(service.last_status["lost"].values()) == {0}


def test_the_time_of_a_watched_file_is_written_and_seen(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    watched, folder = tmp_path / "watched", tmp_path / "folder"
    watched.write_text("x", encoding="ascii")
    folder.mkdir()
    service = make_service({"rules": [f"-w {watched} -p wa -k file", f"-w {folder} -p wa -k folder"]})

    with serving(service):
        os.utime(watched)
        (folder / "new").write_text("x", encoding="ascii")
        subprocess.run(["touch", str(watched), str(folder / "new")], check=True)
        service.wait_for(lambda: any(one.get("keys") == ["file"] for one in service.alerts))
        service.wait_for(lambda: any(one.get("keys") == ["folder"] for one in service.alerts))

    event = next(one for one in service.alerts if one.get("keys") == ["file"])
    assert event["result"] is True
    assert event["paths"][0]["name"] == str(watched)
    assert event["process"]["name"] == "touch"


def test_writing_etc_passwd_is_seen_with_the_walk_throughs_policy(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    policy = tmp_path / "audit.rules.json"
    rules = [
        {"actions": ["always", "exit"], "syscalls": ["execve"], "key": "exec"},
        {"path": "/etc/passwd", "permission": "wa", "key": "passwd"},
        {"path": "/etc/shadow", "permission": "wa", "key": "shadow"},
    ]
    policy.write_text(json.dumps({"audit_rules": rules}), encoding="ascii")
    service = make_service({"rules_file": str(policy)})
    before = os.stat("/etc/passwd")

    with serving(service):
        subprocess.run(["touch", "-m", "/etc/passwd"], check=True)
        service.wait_for(lambda: any(one.get("keys") == ["passwd"] for one in service.alerts))
    os.utime("/etc/passwd", ns=(before.st_atime_ns, before.st_mtime_ns))

    event = next(one for one in service.alerts if one.get("keys") == ["passwd"])
    assert event["syscall"]["name"] == "openat"
    assert event["paths"][0]["name"] == "/etc/passwd"
    assert event["process"]["name"] == "touch"
    assert ["touch", "-m", "/etc/passwd"] in commands(service, "exec")


def test_everything_is_given_back_as_it_was(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any]
) -> None:
    foreign = load(audit_kernel, FOREIGN)
    before = audit_kernel.status()
    service = make_service({"rules": [EXEC, FOREIGN], "rate_limit": 5000})

    with serving(service):
        during = audit_kernel.status()
        loaded = len(audit_kernel.rules())
        service.wait_for(lambda: bool(service.last_status))
        assert service.handler is not None
        answer = service.handler({}).elements

    after = audit_kernel.status()
    assert (during.enabled, during.pid, during.backlog_wait_time) == (1, os.getpid(), 0)
    assert (during.backlog_limit, during.rate_limit, loaded) == (65_536, 5000, 2)
    assert (after.enabled, after.pid, after.backlog_limit) == (before.enabled, before.pid, before.backlog_limit)
    assert (after.backlog_wait_time, after.rate_limit) == (before.backlog_wait_time, before.rate_limit)
    assert len(audit_kernel.rules()) == 1
    audit_kernel.delete(foreign, "the other's rule, still there")
    assert isinstance(answer, dict)
    assert (answer["rules_loaded"], answer["rules_foreign"], answer["mode"]) == (1, 1, "unicast")
    assert not (service.state / "installed.json").exists()


def test_a_watched_path_that_must_be_there_and_is_not_stops_the_module_and_changes_nothing(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    rules = [{"path": str(tmp_path / "missing"), "permission": "w", "strict_path_check": True}]
    (tmp_path / "rules").write_text(json.dumps({"audit_rules": rules}), encoding="ascii")
    service = make_service({"rules_file": str(tmp_path / "rules")})

    with pytest.raises(ConfigurationError, match="is not there"), serving(service):
        pass

    assert (audit_kernel.status().enabled, audit_kernel.status().pid, audit_kernel.rules()) == (0, 0, [])


def test_a_slow_taker_of_alerts_costs_counted_drops_and_never_the_reader(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any]
) -> None:
    service = make_service({"rules": [EXEC], "queue_records": 1000})
    service.full.set()

    with serving(service):
        for _ in range(400):
            os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)
        service.wait_for(lambda: service.last_status.get("lost", {}).get("queue_records", 0) > 0)
        service.wait_for(lambda: audit_kernel.status().backlog < 100)  # the reader goes on: nothing stays in the kernel
        service.full.clear()
        service.wait_for(lambda: bool(service.of_type("audit_loss")))

    lost = service.of_type("audit_loss")[0]["lost"]
    assert lost["queue_records"] > 0


MANY_CALLS = "import os\nfor n in range(3000):\n    os.close(os.open('/etc/hostname', os.O_RDONLY))"


def test_no_event_is_called_complete_that_lost_a_record(
    audit_kernel: Kernel, serving: Serving, make_service: Callable[..., Any]
) -> None:
    rule = "-a always,exit -F arch=b64 -S openat -F path=/etc/hostname -k storm"
    service = make_service({"rules": [rule], "rate_limit": 997})

    with serving(service):
        subprocess.run([sys.executable, "-c", MANY_CALLS], check=True)
        service.wait_for(lambda: bool(service.of_type("audit_loss")))

    storm = [one for one in service.alerts if one.get("keys") == ["storm"]]
    loss = service.of_type("audit_loss")[-1]
    assert storm
    for one in storm:
        whole = {"SYSCALL", "CWD", "PATH", "PROCTITLE"} <= set(one["record_types"])
        assert one["complete"] <= whole, one
    assert loss["total"]["kernel_lost"] > 0
    assert loss["lost_events"]["at_least"] <= loss["lost_events"]["at_most"]
    serials = {one["serial"] for one in service.alerts if "serial" in one}
    assert loss["total"]["missing_events"] == max(serials) - min(serials) + 1 - len(serials)  # also the latest are told


def test_events_carry_names_of_users_and_the_control_group(
    audit_kernel: Kernel, serving: Serving, commands: Commands, make_service: Callable[..., Any]
) -> None:
    service = make_service({"rules": [EXEC], "include_raw": True})

    # A shell that stays until its event is made: of a process that is gone the group is not known.
    words = ["/bin/sh", "-c", "/bin/true named; read end"]
    with serving(service), subprocess.Popen(words, stdin=subprocess.PIPE):
        service.wait_for(lambda: ["/bin/true", "named"] in commands(service))

    event = next(one for one in service.alerts if one.get("process", {}).get("arguments") == ["/bin/true", "named"])
    assert (event["user"]["uid"], event["user"]["uid_name"]) == (0, "root")
    assert event["process"]["cgroup"].startswith("/")
    assert event["raw"][0].startswith("type=SYSCALL msg=audit(")
    assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(hours=1)
