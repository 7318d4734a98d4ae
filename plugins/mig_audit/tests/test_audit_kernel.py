"""The module on the real kernel: every execve accounted for, /etc/passwd watched, a kill survived, all given back.

One test owns the kernel's audit subsystem at a time. Only processes that were started after auditing was first switched
on since boot carry an audit context; those of these tests are.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import AuditModule, kernel, netlink, rule_fields, rule_line
from mig_audit.note import Position
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mig_audit.kernel import Kernel

EXEC = "-a always,exit -F arch=b64 -S execve -k mig-test-exec"
FOREIGN = "-a always,exit -F arch=b64 -S acct -k of-others"


@contextlib.contextmanager
def serving(service: Any) -> Iterator[None]:
    """The module at work, in a thread; its end is awaited and its exception raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            AuditModule().serve(service)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        service.wait_for(lambda: bool(service.handler or failures))
        yield
    finally:
        service.stopping.set()
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def commands(service: Any, key: str = "mig-test-exec") -> list[list[str]]:
    return [
        one["process"]["arguments"]
        for one in list(service.alerts)
        if one.get("keys") == [key] and "arguments" in one["process"]
    ]


def load(asked: Kernel, line: str) -> bytes:
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
    assert made is not None
    packed = made.pack()
    asked.add(packed, line)
    return packed


def test_a_thousand_execves_at_speed_are_all_there(audit_kernel: Kernel, make_service: Callable[..., Any]) -> None:
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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


def test_everything_is_given_back_as_it_was(audit_kernel: Kernel, make_service: Callable[..., Any]) -> None:
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    rules = [{"path": str(tmp_path / "missing"), "permission": "w", "strict_path_check": True}]
    (tmp_path / "rules").write_text(json.dumps({"audit_rules": rules}), encoding="ascii")
    service = make_service({"rules_file": str(tmp_path / "rules")})

    with pytest.raises(ConfigurationError, match="is not there"), serving(service):
        pass

    assert (audit_kernel.status().enabled, audit_kernel.status().pid, audit_kernel.rules()) == (0, 0, [])


def test_a_slow_taker_of_alerts_costs_counted_drops_and_never_the_reader(
    audit_kernel: Kernel, make_service: Callable[..., Any]
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


def test_no_event_is_called_complete_that_lost_a_record(audit_kernel: Kernel, make_service: Callable[..., Any]) -> None:
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    first = make_service({"rules": [EXEC]})
    with serving(first):
        subprocess.run(["/bin/true"], check=True)
        first.wait_for(lambda: ["/bin/true"] in commands(first))

    assert Position(first.state).found == 0


def test_beside_another_daemon_the_module_listens_and_changes_nothing(
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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
    audit_kernel: Kernel, make_service: Callable[..., Any], tmp_path: Path
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


def test_events_carry_names_of_users_and_the_control_group(
    audit_kernel: Kernel, make_service: Callable[..., Any]
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
