"""What the tests of this plugin share: recorded records, a service that collects, the kernel's audit subsystem."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import AuditModule, kernel, netlink, tables
from mig_audit.assembly import Assembly
from mig_audit.event import Events
from mig_core.testing.persistent_service import CollectingService
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager


DATA = Path(__file__).parent / "data"


class NoAccounts:
    """Names that are the same on every machine."""

    def user(self, uid: int) -> str | None:
        return "root" if uid == 0 else None

    group = user

    def combined(self, ids: tuple[str, ...]) -> dict[str, Any]:
        return {"auid": int(ids[0]), "uid": int(ids[1]), "euid": int(ids[2])}

    def put(self, into: dict[str, Any], key: str, number: int) -> None:
        into[key] = number


@pytest.fixture
def make_service(tmp_path: Path) -> Callable[..., CollectingService]:
    def make(config: Mapping[str, Any], state: Path | None = None) -> CollectingService:
        folder = state or tmp_path / "state"
        folder.mkdir(mode=0o700, exist_ok=True)
        return CollectingService(config, folder)

    return make


@pytest.fixture
def recorded() -> Callable[[str], list[tuple[int, str]]]:
    def read(name: str) -> list[tuple[int, str]]:
        records = []
        for line in (DATA / f"{name}.log").read_text(encoding="utf-8").split("\n")[:-1]:
            kind, _msg, text = line.partition(" msg=")
            records.append((tables.type_numbers()[kind.removeprefix("type=")], text))
        return records

    return read


@pytest.fixture
def decode(recorded: Callable[[str], list[tuple[int, str]]]) -> Callable[[str], list[dict[str, Any]]]:
    """The events of a recorded stream."""

    def events(name: str) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        factory = Events(NoAccounts(), None)  # type: ignore[arg-type]  # a fake with the same methods
        assembly = Assembly(
            lambda stamp, records, complete: made.append(factory.make(stamp, records, complete=complete)),
            lambda _stamp, _now: None,
        )
        assembly.add(recorded(name), 0.0)
        assembly.flush()
        return made

    return events


@pytest.fixture
def audit_kernel() -> Iterator[kernel.Kernel]:
    """The kernel's audit subsystem, free and with nothing loaded; left as it was found."""
    if os.geteuid() != 0 or not hasattr(socket, "AF_NETLINK"):
        service_missing("needs root on Linux, to use the kernel's audit subsystem")
    try:
        asked = kernel.Kernel()
        before = asked.status()
        rules = asked.rules()
    except kernel.KernelRefused as error:
        service_missing(f"needs the kernel's audit subsystem: {error}")
    # The kernel forgets a daemon that was killed when it next has something to say to it.
    if (before.pid and os.path.exists(f"/proc/{before.pid}")) or rules or before.enabled != 0:
        asked.close()
        service_missing("needs the kernel's audit subsystem unused: another daemon is registered, or rules are loaded")
    try:
        yield asked
    finally:
        for one in asked.rules():
            asked.delete(one, "clean up")
        asked.change(
            netlink.Status(
                mask=netlink.ENABLED | netlink.BACKLOG_LIMIT | netlink.BACKLOG_WAIT_TIME,
                backlog_limit=before.backlog_limit,
                backlog_wait_time=before.backlog_wait_time,
            ),
            "clean up",
        )
        asked.close()


@pytest.fixture
def watching(
    audit_kernel: kernel.Kernel, make_service: Callable[..., CollectingService]
) -> Iterator[Callable[[list[str]], CollectingService]]:
    """Starts the module with rules; ended after the test."""
    running: list[tuple[CollectingService, threading.Thread]] = []

    def start(rules: list[str]) -> CollectingService:
        service = make_service({"rules": rules})
        thread = threading.Thread(target=AuditModule().serve, args=(service,))
        running.append((service, thread))
        thread.start()
        service.wait_for(lambda: service.handler is not None)
        return service

    yield start
    for service, thread in running:
        service.stopping.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def auditctl(audit_kernel: kernel.Kernel) -> Callable[..., str]:
    def run(*words: str) -> str:
        done = subprocess.run(["auditctl", *words], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def serving() -> Callable[[CollectingService], AbstractContextManager[None]]:
    """The module at work, in a thread; its end is awaited and its exception raised."""

    @contextlib.contextmanager
    def serve(service: CollectingService) -> Iterator[None]:
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

    return serve


@pytest.fixture
def commands() -> Callable[..., list[list[str]]]:
    """The arguments of what the events of one key say was started."""

    def of(service: CollectingService, key: str = "mig-test-exec") -> list[list[str]]:
        return [
            one["process"]["arguments"]
            for one in list(service.alerts)
            if one.get("keys") == [key] and "arguments" in one["process"]
        ]

    return of
