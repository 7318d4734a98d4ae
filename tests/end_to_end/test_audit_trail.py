"""The walk-through's "view kernel audit trail": from the kernel through audit and dispatch to an HTTP endpoint."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.site import Site
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHER = "migagenthost3"
LONG = 240.0
"""Seconds for what comes behind all that the whole machine has done meanwhile: each start of a program is told."""

SETTINGS = """
[persistent.audit]
rules = ["-a always,exit -F arch=b64 -S execve -k exec", "-w {watched} -p wa -k watched"]

[persistent.sigma]

[[persistent.dispatch.sinks]]
name = "workstation"
kind = "http"
url = "{url}"
"""


PROGRAM = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent it was killed in the middle, and sends it again
            self.close_connection = True
            return
        os.write(book, body + b"\\n")  # the system's from now on, though this program be killed
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    allow_reuse_port = True

port, path = int(sys.argv[1]), sys.argv[2]
book = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
os.ftruncate(book, os.read(book, os.fstat(book).st_size).rfind(b"\\n") + 1)  # half a record was promised to nobody
with Server(("127.0.0.1", port), Handler) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


class Receiver:
    """The workstation's endpoint, a program of its own: a record is in its book before it says so."""

    def __init__(self, folder: Path) -> None:
        self._reserved = socket.socket()  # so that the port is still ours when the program was killed
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self._port = int(self._reserved.getsockname()[1])
        self._book = folder / "book"
        self._read = 0
        self._records: list[dict[str, Any]] = []
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    @property
    def records(self) -> list[dict[str, Any]]:
        with open(self._book, "rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._records += [json.loads(line) for line in whole.splitlines()]
        self._read += len(whole) + 1 if whole else 0
        return self._records

    def start(self) -> None:
        words = [sys.executable, "-c", PROGRAM, str(self._port), str(self._book)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def close(self) -> None:
        self.kill()
        self._reserved.close()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with contextlib.closing(Receiver(tmp_path_factory.mktemp("workstation"))) as started:
        yield started


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("watched") / "passwd"
    path.write_text("root:x:0:0\n", encoding="ascii")
    return path


@pytest.fixture(scope="module")
def watching(receiver: Receiver, watched: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A platform with one agent that watches the kernel."""
    auditctl = shutil.which("auditctl")
    if os.geteuid() != 0 or auditctl is None:
        service_missing("kernel audit needs root and auditctl (package auditd)")
    status = subprocess.run([auditctl, "-s"], capture_output=True, text=True, check=False).stdout
    if "pid 0" not in status:
        service_missing("another program owns the kernel's audit trail, or the kernel has none")
    before = dict(line.split(" ", 1) for line in status.splitlines())
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            Platform(Site(tmp_path_factory.mktemp("site"), "https")) as platform,
        ):
            patch.setenv("MIG_AGENT_HEARTBEAT_INTERVAL", "2s")  # the first one comes before the modules run
            platform.start_agent(WATCHER, SETTINGS.format(watched=watched, url=receiver.url))
            platform.wait_for_agents([WATCHER])
            fleet = Fleet(platform)
            eventually(lambda: _loaded(fleet))
            yield fleet
    finally:
        for words in (
            ["-D"],
            ["-e", "0"],
            ["-b", before["backlog_limit"]],
            ["--backlog_wait_time", before["backlog_wait_time"]],
        ):
            subprocess.run([auditctl, *words], capture_output=True, check=False)


def _loaded(fleet: Fleet) -> bool:
    line = fleet.mig("audit", "-t", "all", "-show", "all").stdout
    return "rules_loaded=2" in line


def events(receiver: Receiver, key: str) -> list[dict[str, Any]]:
    return [one["event"] for one in list(receiver.records) if key in (one["event"].get("keys") or ())]


def _arguments(event: dict[str, Any]) -> list[str]:
    arguments: list[str] = event.get("process", {}).get("arguments", [])
    return arguments


def runs_with(receiver: Receiver, argument: str) -> list[dict[str, Any]]:
    """The starts of programs of which one argument is this: whatever else runs on this machine is seen, too."""
    return [one for one in events(receiver, "exec") if argument in _arguments(one)]


def test_a_program_that_was_started_arrives_as_a_whole_event(watching: Fleet, receiver: Receiver) -> None:
    subprocess.run(["/bin/true", "one argument", "three\n"], check=True)

    (event,) = eventually(lambda: runs_with(receiver, "one argument"))
    record = next(one for one in receiver.records if one["event"] is event)
    assert event["result"] is True
    assert event["process"]["arguments"] == ["/bin/true", "one argument", "three\n"]
    assert record["hostname"] == WATCHER
    assert record["tags"] == {"environment": "demo"}


def test_a_write_to_a_watched_file_arrives(watching: Fleet, receiver: Receiver, watched: Path) -> None:
    subprocess.run(["touch", "-m", str(watched)], check=True)

    def written() -> bool:
        """Not the event of the rule that was loaded, which has its key, too."""
        paths = [path for event in events(receiver, "watched") for path in event.get("paths", ())]
        return any(path["name"] == str(watched) for path in paths)

    assert eventually(written)


def test_a_program_that_a_rule_is_about_arrives_as_an_alert_with_its_parents(
    watching: Fleet, receiver: Receiver, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.touch()
    subprocess.run(["/bin/sh", "-c", f"chmod 4755 {program}; :"], check=True)

    (match,) = eventually(lambda: [one for one in matches(receiver) if str(program) in _arguments(one["event"])])
    assert match["rule"]["title"] == "Set-User-ID Bit Given To A Program"
    assert match["event"]["process"]["arguments"] == ["chmod", "4755", str(program)]
    assert match["parents"][0]["command"].startswith("/bin/sh -c chmod 4755")
    rows = watching.ask("sigma", "list", "-t", "all")[WATCHER]["results"][0]["elements"]["rules"]
    told = {one["title"]: one["matches"] for one in rows}
    assert told["Set-User-ID Bit Given To A Program"] == 1


def matches(receiver: Receiver) -> list[dict[str, Any]]:
    return [one["event"] for one in list(receiver.records) if one["event"].get("type") == "sigma_match"]


def test_rules_of_a_signed_action_are_in_force_until_its_window_ends(
    watching: Fleet, receiver: Receiver, tmp_path: Path
) -> None:
    test = {"field": "CommandLine", "test": "contains", "values": ["--looked-for"]}
    rule = {"id": "one", "title": "Looked For", "level": "low", "kind": "process_creation", "condition": test}
    rules = json.dumps({"format": 1, "rules": [rule]})
    operation = {"module": "sigma", "parameters": {"rules": rules}}
    file = tmp_path / "action.json"
    file.write_text(json.dumps({"syntaxversion": 3, "name": "rules", "operations": [operation]}), encoding="utf-8")

    watching.detach("ask", str(file), "-t", "all", "-e", "15s")

    def matched() -> bool:
        """The window may be half over before the agent has the rules: they are tried from the first moment on."""
        subprocess.run(["/bin/true", "--looked-for"], check=True)
        return any(one["rule"]["title"] == "Looked For" for one in matches(receiver))

    eventually(matched, pause=0.2)
    eventually(lambda: "actions=0" in watching.mig("sigma", "status", "-t", "all", "-show", "all").stdout, seconds=60)


def test_the_counters_of_audit_and_dispatch_can_be_asked_for(watching: Fleet) -> None:
    audit = watching.ask("audit", "-t", "all")[WATCHER]
    dispatch = watching.ask("dispatch", "-t", "all")[WATCHER]

    assert audit["found"]
    assert audit["complete"]
    elements = dispatch["results"][0]["elements"]
    (sink,) = elements["sinks"]
    parts = ("delivered", "merged", "unwanted", "dead_lettered", "damaged", "dropped", "spooled")
    assert sink["received"] == sum(sink[part] for part in parts)
    assert sink["delivered"] > 0


def test_health_of_both_is_in_the_heartbeat(watching: Fleet) -> None:
    def states() -> dict[str, str]:
        shown = json.loads(watching.mig("agent", "show", WATCHER, "--json").stdout)
        return {name: one["state"] for name, one in shown["persistent"].items()}

    running = {"audit": "running", "dispatch": "running", "sigma": "running"}
    eventually(lambda: states() == running, seconds=60)


def test_every_run_is_accounted_for_when_dispatch_is_killed_in_the_middle(watching: Fleet, receiver: Receiver) -> None:
    for number in range(200):
        subprocess.run(["/bin/false", "of the two hundred"], check=False)
        if number == 100:
            _kill_module("dispatch")

    eventually(lambda: len({one["serial"] for one in runs_with(receiver, "of the two hundred")}) == 200, seconds=LONG)


def test_every_event_arrives_or_is_told_as_lost_when_audit_dispatch_and_the_endpoint_are_killed(
    watching: Fleet, receiver: Receiver
) -> None:
    chance = random.Random(int(os.environ.get("MIG_TEST_SEED", "1")))
    victims = ["dispatch", "endpoint", "audit", "endpoint", "dispatch"]

    while victims:
        for _ in range(chance.randint(20, 60)):
            subprocess.run(["/bin/false", "between the kills"], check=False)
        victim = victims.pop()
        if victim == "endpoint":
            receiver.kill()
            time.sleep(chance.random())
            receiver.start()
        else:
            _kill_module(victim)
    eventually(lambda: _running(watching))
    subprocess.run(["/bin/true", "the last"], check=True)

    eventually(lambda: runs_with(receiver, "the last"), seconds=LONG)
    eventually(lambda: not _unaccounted(receiver), seconds=LONG)
    assert len(runs_with(receiver, "between the kills")) >= 20
    sink = watching.ask("dispatch", "-t", "all")[WATCHER]["results"][0]["elements"]["sinks"][0]
    # Asking makes new events, and so does whatever else runs on this machine: some may be on their way.
    assert sink["received"] == sink["delivered"] + sink["spooled"]
    assert 0 < sink["delivered"] <= len(receiver.records)


def _running(fleet: Fleet) -> bool:
    shown = json.loads(fleet.mig("agent", "show", WATCHER, "--json").stdout)
    return _loaded(fleet) and {one["state"] for one in shown["persistent"].values()} == {"running"}


def _unaccounted(receiver: Receiver) -> set[int]:
    """The kernel's numbers of events that neither arrived nor were told as lost."""
    happened = [one["event"] for one in list(receiver.records)]
    arrived = {one["serial"] for one in happened if "serial" in one}
    told = {serial for one in happened for first, last in one.get("serials", ()) for serial in range(first, last + 1)}
    return set(range(min(arrived), max(arrived) + 1)) - arrived - told


def test_the_kernel_is_left_as_it_was_found(watching: Fleet) -> None:
    watching.platform.processes.end(WATCHER, signal.SIGTERM)

    status = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=True).stdout
    rules = subprocess.run(["auditctl", "-l"], capture_output=True, text=True, check=True).stdout
    assert "pid 0" in status
    assert "watched" not in rules


def _kill_module(name: str) -> None:
    eventually(lambda: _process_of(name)).kill()


def _process_of(module: str) -> psutil.Process | None:
    """The module's process, of this platform; one that was killed before comes back after a pause."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "-P" in words and module in words:
                return process
    return None
