"""The module's registration with the kernel's audit subsystem: made, watched over, given back as it was found.

As the audit daemon (unicast) when no other is registered: then it loads rules, switches auditing on, and takes care
that the kernel never makes a program wait for it (``backlog_wait_time`` 0). Beside another daemon it only listens to
the multicast group and changes nothing.

Source: kernel/audit.c (audit_receive_msg, auditd_set, auditd_reset).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from mig_audit import netlink
from mig_audit.kernel import Kernel, KernelRefused, answers, open_socket
from mig_audit.loading import Loading
from mig_audit.netlink import Status
from mig_audit.note import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mig_audit.loading import Gap
    from mig_audit.note import Notebook
    from mig_audit.rule import Rule
    from mig_audit.settings import Settings

UNICAST, MULTICAST = "unicast", "multicast"
LOCKED = 2
_SO_RCVBUFFORCE = 33


class Registration:
    """One registration, as the audit daemon or as a listener. Used by one thread."""

    def __init__(
        self,
        settings: Settings,
        rules: Sequence[Rule],
        notebook: Notebook,
        log: Callable[[int, str], None],
        now: Callable[[], str],
    ) -> None:
        """Prepares; :meth:`open` begins. ``now`` is the time as text, for gaps."""
        self._settings = settings
        self._notebook = notebook
        self._log = log
        self._kernel = Kernel()
        self._now = now
        self.rules = Loading(rules, self._kernel, notebook, log, os.getppid())
        """Our rules in the kernel."""
        self._sequence = 0
        self.mode = ""
        self.events: socket.socket
        self.early: list[bytes] = []
        """Datagrams with events that came before the reader began."""
        self.status: Status | None = None
        """The kernel's last answer; None when we may not ask."""

    def open(self) -> None:
        """Registers.

        Raises:
            KernelRefused: no right, or another daemon is registered and ``multicast`` is ``never``.
            ConfigurationError: a rule insists on a path that is not there.
        """
        wish = self._settings.multicast
        try:
            self.status = self._kernel.status()
        except KernelRefused as error:
            if wish == "never" or error.number != errno.EPERM:
                raise
            self._log(logging.WARNING, f"{error}; listening only")
        if wish == "only" or self.status is None or not self._own():
            self._listen()
            if self.status is not None:
                self.rules.refresh()

    def close(self) -> None:
        """Gives back: our rules go, settings become what they were. Events still come until the socket is closed.

        Where another daemon has taken over meanwhile, the settings are its own.
        """
        note = self.rules.note
        if self.mode == UNICAST and note is not None:
            self.rules.remove(note.rules)
            if not self._taken_over():
                self._restore(note.before)
            self._notebook.remove()
            self.rules.note = None
        self.mode = "stopped"

    def end(self) -> None:
        """Closes the sockets."""
        self._kernel.close()
        if hasattr(self, "events"):
            self.events.close()

    def check(self) -> str:
        """Asks the kernel how things are; worth calling every second.

        Returns:
            Empty when all is well; ``dropped`` when the kernel no longer has us as its audit daemon and has no other:
            :meth:`reclaim` is due; ``changed`` when another registration is needed, because another daemon came or
            went.
        """
        if self.status is None:
            return ""
        try:
            self.status = self._kernel.status()
        except KernelRefused as error:
            self._log(logging.WARNING, str(error))
            return ""
        if self.mode == UNICAST and self.status.pid != os.getpid():
            return "dropped" if self.status.pid == 0 else "changed"
        if self.mode == MULTICAST and self._settings.multicast == "auto" and self.status.pid == 0:
            return "changed"
        return ""

    def reclaim(self) -> bool:
        """Registers again on the same socket, which nobody may read meanwhile; False when another daemon was faster."""
        return self._register()

    def look(self, removed: Collection[str], *, listing: bool) -> list[Gap]:
        """Sees whether our rules are in force (:meth:`mig_audit.loading.Loading.look`)."""
        if self.mode == UNICAST:
            return self.rules.look(self._now(), removed, listing=listing)
        if listing and self.status is not None:
            self.rules.refresh()
        return []

    def _own(self) -> bool:
        """Becomes the audit daemon; False when there is another."""
        self.events = open_socket()
        self._widen()
        found = self._notebook.read()
        if not self._register():
            self.events.close()
            if self._settings.multicast == "never":
                raise KernelRefused("another audit daemon is registered", errno.EEXIST)
            self._log(logging.WARNING, "another audit daemon is registered: listening only, no rule of ours is loaded")
            self._clean(found)
            return False
        self.mode = UNICAST
        note = self.rules.note = Note(found.before if found is not None else self.status or Status())
        try:
            self._install(found, note)
        except BaseException:
            self.close()
            raise
        return True

    def _install(self, found: Note | None, note: Note) -> None:
        now = self.status or Status()
        mask = netlink.BACKLOG_LIMIT | netlink.BACKLOG_WAIT_TIME
        wanted = Status(backlog_limit=max(self._settings.backlog_limit, now.backlog_limit), backlog_wait_time=0)
        if self._settings.rate_limit is not None:
            mask, wanted = mask | netlink.RATE_LIMIT, replace(wanted, rate_limit=self._settings.rate_limit)
        previous = found.rules if found is not None else []
        if found is not None:
            self._log(logging.WARNING, f"the last module was killed: taking over its {len(previous)} rules")
        note.rules = list(previous)
        self._notebook.write(note)
        self._kernel.change(replace(wanted, mask=mask), "set backlog")
        if now.enabled == LOCKED:
            self._log(logging.WARNING, "audit rules are locked until the next boot: no rule of ours is loaded")
            self.rules.count.refused = self.rules.count.wanted
            self.rules.refresh()
            return
        self.rules.load(previous, note, self._now())
        if now.enabled != 1:
            self._kernel.change(Status(mask=netlink.ENABLED, enabled=1), "switch auditing on")

    def _clean(self, found: Note | None) -> None:
        """Another daemon has taken over since our predecessor was killed: its rules go, the rest is the other's."""
        if found is not None:
            self.rules.remove(found.rules)
            self._notebook.remove()

    def _taken_over(self) -> bool:
        try:
            return self._kernel.status().pid not in (0, os.getpid())
        except KernelRefused:
            return False

    def _restore(self, before: Status) -> None:
        changed = Status(
            mask=netlink.BACKLOG_LIMIT | netlink.BACKLOG_WAIT_TIME | netlink.RATE_LIMIT,
            backlog_limit=before.backlog_limit,
            backlog_wait_time=before.backlog_wait_time,
            rate_limit=before.rate_limit,
        )
        if self.status is None or self.status.enabled != LOCKED:
            changed = replace(changed, mask=changed.mask | netlink.ENABLED, enabled=min(before.enabled, 1))
        self._try(lambda: self._kernel.change(changed, "restore audit settings"))
        self._try(lambda: self._kernel.change(Status(mask=netlink.PID), "deregister"))

    def _listen(self) -> None:
        self.events = open_socket(1 << (netlink.GROUP_READLOG - 1))
        self._widen()
        self.mode = MULTICAST

    def _register(self) -> bool:
        """Registers the events' socket; False when another daemon lives."""
        self._sequence += 1
        payload = Status(mask=netlink.PID, pid=os.getpid()).pack()
        self.events.send(netlink.pack(netlink.SET, self._sequence, payload))
        try:
            for message in answers(self.events, self._sequence, "register as audit daemon", self.early.append):
                if message.type == netlink.NLMSG_ERROR:
                    return True
        except KernelRefused as error:
            if error.number != errno.EEXIST:
                raise
        return False

    def _widen(self) -> None:
        size = self._settings.receive_buffer_mb << 20
        try:
            self.events.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except OSError:
            self.events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except KernelRefused as error:
            self._log(logging.WARNING, str(error))
