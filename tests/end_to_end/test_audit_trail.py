"""The walk-through's "view kernel audit trail": from the kernel through audit and dispatch to an HTTP endpoint."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.site import Site
from mig_core.testing.fleet import Fleet, eventually
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHER = "migagenthost3"

SETTINGS = """
[persistent.audit]
rules = ["-a always,exit -F arch=b64 -S execve -k exec", "-w {watched} -p wa -k watched"]

[[persistent.dispatch.sinks]]
name = "workstation"
kind = "http"
url = "{url}"
"""


class Receiver(ThreadingHTTPServer):
    """The workstation's endpoint: keeps every record that is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Receiver)
        self.server.records.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
    if "pid 0" not in subprocess.run([auditctl, "-s"], capture_output=True, text=True, check=False).stdout:
        service_missing("another program owns the kernel's audit trail, or the kernel has none")
    try:
        with Platform(Site(tmp_path_factory.mktemp("site"), "https")) as platform:
            platform.start_agent(WATCHER, SETTINGS.format(watched=watched, url=receiver.url))
            platform.processes.wait_for("the agent", lambda: platform.online() == 1, seconds=60)
            fleet = Fleet(platform)
            eventually(lambda: _loaded(fleet))
            yield fleet
    finally:
        subprocess.run([auditctl, "-D"], capture_output=True, check=False)
        subprocess.run([auditctl, "-e", "0"], capture_output=True, check=False)


def _loaded(fleet: Fleet) -> bool:
    line = fleet.mig("audit", "-t", "all", "-show", "all").stdout
    return "rules_loaded=2" in line


def events(receiver: Receiver, key: str) -> list[dict[str, Any]]:
    return [one["event"] for one in list(receiver.records) if key in (one["event"].get("keys") or ())]


def runs_of(receiver: Receiver, program: str) -> list[dict[str, Any]]:
    return [one for one in events(receiver, "exec") if one.get("process", {}).get("exe", "").endswith(program)]


def test_a_program_that_was_started_arrives_as_a_whole_event(watching: Fleet, receiver: Receiver) -> None:
    subprocess.run(["/bin/true", "one argument", "three\n"], check=True)

    (event,) = eventually(lambda: runs_of(receiver, "/true"))
    record = next(one for one in receiver.records if one["event"] is event)
    assert event["result"] is True
    assert event["process"]["arguments"] == ["/bin/true", "one argument", "three\n"]
    assert record["hostname"] == WATCHER
    assert record["tags"] == {"environment": "demo"}


def test_a_write_to_a_watched_file_arrives(watching: Fleet, receiver: Receiver, watched: Path) -> None:
    subprocess.run(["touch", "-m", str(watched)], check=True)

    written = eventually(lambda: events(receiver, "watched"))
    assert any(path["name"] == str(watched) for event in written for path in event["paths"])


def test_the_counters_of_audit_and_dispatch_can_be_asked_for(watching: Fleet) -> None:
    audit = watching.ask("audit", "-t", "all")[WATCHER]
    dispatch = watching.ask("dispatch", "-t", "all")[WATCHER]

    assert audit["found"]
    assert audit["complete"]
    elements = dispatch["results"][0]["elements"]
    (sink,) = elements["sinks"]
    assert sink["received"] == sink["delivered"] + sink["dead_lettered"] + sink["damaged"] + sink["spooled"]
    assert sink["delivered"] > 0


def test_health_of_both_is_in_the_heartbeat(watching: Fleet) -> None:
    shown = json.loads(watching.mig("agent", "show", WATCHER, "--json").stdout)

    assert {name: one["state"] for name, one in shown["persistent"].items()} == {
        "audit": "running",
        "dispatch": "running",
    }


def test_every_run_is_accounted_for_when_dispatch_is_killed_in_the_middle(watching: Fleet, receiver: Receiver) -> None:
    before = len(runs_of(receiver, "/false"))

    for number in range(200):
        subprocess.run(["/bin/false"], check=False)
        if number == 100:
            _kill_module("dispatch")

    eventually(lambda: len(runs_of(receiver, "/false")) - before >= 200, seconds=60)
    serials = {one["serial"] for one in runs_of(receiver, "/false")}
    assert len(serials) >= 200


def test_the_kernel_is_left_as_it_was_found(watching: Fleet) -> None:
    watching.platform.processes.end(WATCHER, signal.SIGTERM)

    status = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=True).stdout
    rules = subprocess.run(["auditctl", "-l"], capture_output=True, text=True, check=True).stdout
    assert "pid 0" in status
    assert "watched" not in rules


def _kill_module(name: str) -> None:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "-P" in words and name in words:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            return
    raise AssertionError(f"no process of module {name}")
