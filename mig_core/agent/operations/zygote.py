"""The zygote: a small process that has every module's code ready and forks one child for each operation.

Forking it takes 4 ms where a new interpreter with the same imports takes 55. It is a program of its own
(``python -m mig_core.agent.operations.zygote FD``), started by the agent
(:mod:`mig_core.agent.operations.launcher`) before anything else: no secret of the agent is ever in its memory or in a
module's. It has one thread and holds nothing but the control socket.

Plugins are *discovered* in a child that ends at once, so that what discovery needs is not inherited by every operation.

Messages on the control socket (SOCK_SEQPACKET, JSON): first ``configure`` down and ``ready`` up; then ``start`` (with
the operation's socket) and ``kill`` down, ``started`` and ``ended`` up. When the agent goes, however it goes, the
socket closes: the zygote kills all its children and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn, cast

from mig_core.agent.operations.child import serve_request
from mig_core.agent.operations.confinement import become_subreaper, children
from mig_core.errors import ModuleUnknown
from mig_core.plugin.persistent import PersistentModule

if TYPE_CHECKING:
    from mig_core.plugin.module import Module

MAX_MESSAGE_BYTES = 160_000
"""Largest message on the control socket; the kernel's default buffer takes it in one piece."""
_MAX_FAILURE_TEXT = 500
_MAX_FAILURES = 100
_NOTHING: dict[str, Any] = {"modules": {}, "failures": {}, "versions": {}, "hooks": False}
_END_SECONDS = 0.5
"""How long the last orphans may take to die; the agent waits a little longer than this for us."""


class Zygote:
    """The loop. ``serve`` returns when the agent is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._modules: dict[str, Module[Any]] = {}
        self._hooks: Any = None
        self._children: dict[int, int] = {}
        """Operation number -> process id of its child."""
        self._own: list[int] = []
        """Descriptors no child may keep."""

    def serve(self) -> None:
        """Configures itself as the first message says, then serves until the control socket closes."""
        first = self._control.recv(MAX_MESSAGE_BYTES)
        if not first:
            return
        self._tell(self._prepare(**json.loads(first)))
        become_subreaper()
        gc.collect()
        gc.freeze()
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        selector = selectors.EpollSelector()
        selector.register(self._control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        self._own = [self._control.fileno(), woken, wake, selector.fileno()]
        try:
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    self._reap()
                if self._control in ready and not self._take_message():
                    return
        finally:
            self._end_all()

    def _prepare(self, *, allow: list[str], deny: list[str], preload: list[str]) -> dict[str, Any]:
        found = _discover(allow, deny)
        failures: dict[str, str] = dict(found["failures"])
        wanted = set(preload)
        if found["hooks"]:
            from mig_core.plugin.manager import PluginManager

            manager = PluginManager(allow=allow, deny=deny)
            self._hooks = manager.hooks("agent")
            self._modules = {name: manager.module(name) for name in manager.names()}
            failures.update(manager.failures)
        else:
            # Loaded and checked a moment ago, in a child; here without what finding them costs in memory.
            for name, value in found["modules"].items():
                try:
                    self._modules[name] = _made(value)
                except Exception as error:  # a plugin's file may raise anything
                    failures[name] = f"{type(error).__name__}: {error}"
        for module in self._modules.values():
            wanted.update(module.info.preload)
        for name in sorted(wanted):
            # What a module would like to have ready may be missing; its run then says so.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        return {
            "event": "ready",
            "modules": {name: bool(module.parameters.label) for name, module in sorted(self._modules.items())},
            "persistent": {
                name: module.takes_alerts
                for name, module in sorted(self._modules.items())
                if isinstance(module, PersistentModule)
            },
            "detectors": [
                name
                for name, module in sorted(self._modules.items())
                if isinstance(module, PersistentModule) and module.watches_alerts
            ],
            "versions": found["versions"],
            "path": [folder for folder in sys.path if folder],
            "network": sorted(name for name, module in self._modules.items() if module.info.needs_network),
            "failures": {name: text[:_MAX_FAILURE_TEXT] for name, text in sorted(failures.items())[:_MAX_FAILURES]},
        }

    def _take_message(self) -> bool:
        raw, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, 1)
        if not raw:
            return False
        message = json.loads(raw)
        if message["do"] == "start":
            self._start(message["number"], socket.socket(fileno=descriptors[0]))
        elif message["do"] == "kill":
            self._kill(message["number"])
        return True

    def _start(self, number: int, connection: socket.socket) -> None:
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError as error:
            connection.close()
            self._tell({"event": "ended", "number": number, "problem": f"fork: {error.strerror}"})
            return
        if child == 0:
            signal.set_wakeup_fd(-1)
            for descriptor in self._own:
                os.close(descriptor)
            serve_request(connection, parent, self._find, self._environment, self._finished)
        connection.close()
        self._children[number] = child
        self._tell({"event": "started", "number": number, "pid": child})

    def _kill(self, number: int) -> None:
        child = self._children.get(number)
        if child is not None:
            _kill_group(child)

    def _reap(self) -> None:
        for number, child in tuple(self._children.items()):
            # WNOWAIT: the dead leader keeps its id, and so the group's, until all of the group has been killed.
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill_group(child)
            _, status, usage = os.wait4(child, 0)
            del self._children[number]
            self._tell(
                {
                    "event": "ended",
                    "number": number,
                    "status": os.waitstatus_to_exitcode(status),
                    "cpu": usage.ru_utime + usage.ru_stime,
                    "rss": usage.ru_maxrss,
                }
            )
        self._kill_strays()

    def _end_all(self) -> None:
        for child in self._children.values():
            _kill_group(child)
        for child in self._children.values():
            os.waitpid(child, 0)
        self._children.clear()
        end = time.monotonic() + _END_SECONDS
        # Each death may bring further orphans to us.
        while children() and time.monotonic() < end:
            self._kill_strays()

    def _kill_strays(self) -> None:
        """Ends what a module left behind outside its group: it has become our child."""
        known = set(self._children.values())
        for stray in children():
            if stray not in known:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(stray, signal.SIGKILL)
                    os.waitpid(stray, os.WNOHANG)

    def _find(self, name: str) -> Module[Any]:
        try:
            return self._modules[name]
        except KeyError:
            raise ModuleUnknown(name, f"module {name!r} is not available") from None

    def _environment(self, name: str) -> dict[str, Any]:
        from mig_core.agent.operations.environment import gather_environment

        return gather_environment(name, self._hooks)

    def _finished(self, module: str, success: bool, found: bool, seconds: float) -> None:
        if self._hooks is not None:
            # The result has been sent; a hook that raises must not take it back.
            with contextlib.suppress(Exception):
                self._hooks.mig_operation_finished(module=module, success=success, found=found, seconds=seconds)

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.send(json.dumps(message).encode("ascii"))


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:  # it has not made its session yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGKILL)
    except PermissionError:  # only processes of another user are left in the group
        pass


def _discover(allow: list[str], deny: list[str]) -> dict[str, Any]:
    """Names, failures and whether there are hooks, found out in a child that ends."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _report_discovery(writing, allow, deny)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read(MAX_MESSAGE_BYTES)
    os.waitpid(child, 0)
    found: dict[str, Any]
    try:
        found = json.loads(raw)
    except ValueError:
        found = {**_NOTHING, "failures": {"plugins": "looking for plugins ended without an answer"}}
    return found


def _made(value: str) -> Module[Any]:
    """The module that an entry point's value, ``package:Class``, names."""
    name, _, attribute = value.partition(":")
    found = importlib.import_module(name)
    for part in attribute.split("."):
        found = getattr(found, part)
    return cast("type[Module[Any]]", found)()


def _report_discovery(writing: int, allow: list[str], deny: list[str]) -> NoReturn:
    try:
        from importlib.metadata import entry_points

        from mig_core.plugin.manager import MODULES, PluginManager, installed

        manager = PluginManager(allow=allow, deny=deny)
        points = [one for one in installed(MODULES) if one.name in manager.names()]
        found = {
            "modules": {one.name: one.value for one in points},
            "versions": {one.name: one.version for one in points},
            "failures": {name: text[:_MAX_FAILURE_TEXT] for name, text in manager.failures.items()},
            "hooks": bool(entry_points(group="mig.agent")),
        }
    except Exception as error:  # one bad plugin must not keep the agent from starting
        found = {**_NOTHING, "failures": {"plugins": f"{type(error).__name__}: {error}"[:500]}}
    try:
        raw = json.dumps(found).encode("ascii")
        while raw:
            raw = raw[os.write(writing, raw) :]
    finally:
        os._exit(0)


def main() -> None:
    """Serves on the socket whose descriptor is the only argument."""
    # A Ctrl-C reaches the whole group; the agent ends us in its own order, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
