"""The zygote: a small process that has modules' code ready and forks one child for each operation.

Forking it takes 4 ms where a new interpreter with the same imports takes 55. It is a program of its own
(``python -m mig_core.agent.operations FD``), started by the agent
(:mod:`mig_core.agent.operations.launcher`) before anything else: no secret of the agent is ever in its memory or in a
module's. It has one thread and holds nothing but the control socket.

Plugins are *discovered* in a child that ends at once, so that what discovery needs is not inherited by every operation.
What was found is told to the agent, and by it to the next zygote, which believes it as long as nothing was installed
since, unless a plugin could not be loaded. A module's code is loaded when it is first asked for, and stays: so the
first answer after a rest waits for one module and not for all. What a module would like to have ready besides is loaded
when nothing has happened for a moment: the first run loads only what it needs, by itself.

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
import select
import signal
import socket
import sys
import time
from binascii import crc32
from typing import TYPE_CHECKING, Any, NoReturn, cast

from mig_core.agent.operations.child import serve_request
from mig_core.agent.operations.confinement import become_subreaper, children, give_large_blocks_back
from mig_core.errors import ModuleUnknown
from mig_core.plugin.persistent import PersistentModule
from mig_core.records import write_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.plugin.module import Module

MAX_MESSAGE_BYTES = 160_000
"""Largest message on the control socket; the kernel's default buffer takes it in one piece."""
_MAX_FAILURE_TEXT = 500
_MAX_FAILURES = 100
_NOTHING: dict[str, Any] = {"modules": {}, "failures": {}, "versions": {}, "hooks": False}
_MOMENT = 0.1
"""Seconds without anything to do after which something is made ready; an answer has left the agent by then."""
_END_SECONDS = 0.5
"""How long the last orphans may take to die; the agent waits a little longer than this for us."""


class Zygote:
    """The loop. ``serve`` returns when the agent is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._values: dict[str, str] = {}
        """Modules that are not loaded yet: name -> what their entry points name."""
        self._modules: dict[str, Module[Any]] = {}
        self._failures: dict[str, str] = {}
        self._later: list[str] = []
        """Imports that are still to be made ready."""
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
        give_large_blocks_back()
        gc.freeze()
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        poll = select.epoll()
        for descriptor in (self._control.fileno(), woken):
            poll.register(descriptor, select.EPOLLIN)
        self._own = [self._control.fileno(), woken, wake, poll.fileno()]
        pause = _MOMENT
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll(pause if self._later else None)}
                pause = _MOMENT if ready else 0.0
                if not ready:
                    self._make_ready()
                if woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    self._reap()
                if self._control.fileno() in ready and not self._take_message():
                    return
        finally:
            self._end_all()

    def _prepare(
        self, *, allow: list[str], deny: list[str], preload: list[str], known: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        installed = _installed()
        if not known or not installed or known["installed"] != installed:
            known = {**_discover(allow, deny), "installed": installed}
        failures = known["failures"]
        if known["hooks"]:
            from mig_core.plugin.manager import PluginManager

            manager = PluginManager(allow=allow, deny=deny)
            self._hooks = manager.hooks("agent")
            failures = {**failures, **_cut(manager.failures)}
        self._values = {name: one["value"] for name, one in known["modules"].items()}
        self._later += sorted(preload)
        # An upgrade may put a new zygote beside an agent that runs since before: what such a one reads stays as it was.
        modules = sorted(known["modules"].items())
        return {
            "event": "ready",
            "modules": {name: one["labelled"] for name, one in modules},
            "persistent": {name: one["alerts"] for name, one in modules if one["persistent"]},
            "detectors": [name for name, one in modules if one["detector"]],
            "network": [name for name, one in modules if one["network"]],
            "versions": known["versions"],
            "path": [folder for folder in sys.path if folder],
            "failures": failures,
            # A failure may be the machine's (no memory, a file that could not be read): next time it is tried again.
            "known": None if known["failures"] else known,
        }

    def _load(self, name: str) -> None:
        """Has the code of a module in memory before its run is forked."""
        value = self._values.pop(name, None)
        if value is None:
            return
        try:
            self._modules[name] = module = _made(value)
        except Exception as error:  # a plugin's file may raise anything, though it did not when it was discovered
            self._failures[name] = f"{type(error).__name__}: {error}"[:_MAX_FAILURE_TEXT]
            return
        self._later += module.info.preload
        gc.freeze()

    def _make_ready(self) -> None:
        # What a module would like to have ready may be missing; its run then says so.
        with contextlib.suppress(Exception):
            importlib.import_module(self._later.pop(0))
        if not self._later:
            write_all()
        gc.freeze()

    def _take_message(self) -> bool:
        raw, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, 1)
        if not raw:
            return False
        message = json.loads(raw)
        if message["do"] == "start":
            self._load(message.get("module", ""))
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
        self._load(name)
        try:
            return self._modules[name]
        except KeyError:
            why = f"cannot be loaded: {self._failures[name]}" if name in self._failures else "is not available"
            raise ModuleUnknown(name, f"module {name!r} {why}") from None

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


def _installed() -> str:
    """By what it is seen that something was installed, upgraded or removed; empty: too lately to be seen."""
    from mig_core.plugin.registered import is_settled, marks_of, metadata_folders

    marks = marks_of(metadata_folders())
    return f"{crc32(repr(marks).encode('utf-8', 'surrogateescape')):08x}" if is_settled(marks) else ""


def _discover(allow: list[str], deny: list[str]) -> dict[str, Any]:
    """Modules, failures and whether there are hooks, found out in a child that ends."""
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


def _cut(failures: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:_MAX_FAILURE_TEXT] for name, text in sorted(failures.items())[:_MAX_FAILURES]}


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
        points = {one.name: one for one in installed(MODULES) if one.name in manager.names()}
        found = {
            "modules": {name: _described(one.value, manager.module(name)) for name, one in points.items()},
            "versions": {name: one.version for name, one in points.items()},
            "failures": _cut(manager.failures),
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


def _described(value: str, module: Module[Any]) -> dict[str, Any]:
    """What the agent wants to know of a module."""
    lasting = module if isinstance(module, PersistentModule) else None
    return {
        "value": value,
        "labelled": bool(module.parameters.label),
        "network": module.info.needs_network,
        "persistent": lasting is not None,
        "alerts": lasting is not None and lasting.takes_alerts,
        "detector": lasting is not None and lasting.watches_alerts,
    }


def main() -> None:
    """Serves on the socket whose descriptor is the only argument. (Agents of 0.2.0 start this very file.)"""
    # A Ctrl-C reaches the whole group; the agent ends us in its own order, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Zygote(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
