"""All sockets of all network namespaces, with their holders: the one place that puts the sources together.

The processes are walked first, the namespaces asked afterwards: a socket that somebody held and that no table lists
then is bound to nothing, or of a kind that no table has, and gets a row of its own.
"""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass
from mig_netstat import namespaces, procnet
from mig_netstat.diag import Diag
from mig_netstat.holders import protocol_of
from mig_netstat.socket_record import SocketRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.plugin.coverage import Tally
    from mig_netstat.handlers import Handlers
    from mig_netstat.holders import Holders

NOT_ENTERED = Reason("network namespace that could not be entered: needs CAP_SYS_ADMIN")
NO_TABLE = Reason("table of sockets that could not be read")
BAD_LINE = Reason("line about a socket that was not understood")
_ASKED = ("tcp", "udp", "udplite", "mptcp")
_LISTED = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "udplite": ("udplite", "udplite6"), "mptcp": ()}
_ALWAYS_LISTED = {"raw": ("raw", "raw6"), "icmp": ("icmp", "icmp6")}
_NETWORK = frozenset({"TCP", "TCPv6", "UDP", "UDPv6", "UDP-Lite", "UDPLITEv6", "MPTCP", "MPTCPv6"})
_AT_ONCE = 512
"""Sockets between looks at the clock."""
_HERE = "/proc/thread-self/net"


@dataclass(slots=True)
class _Found:
    """What one namespace gave."""

    records: list[SocketRecord]
    bound_listed: bool
    """Whether TCP sockets that are bound and neither listen nor connect are among them."""


class Sockets:
    """The sockets of this machine, as far as they can be seen.

    Args:
        holders: of a walk that is over.
        handlers: says which of the kernel's handlers may be asked.
        tally: books what could not be looked at.
        counters: whether how much was sent and received is of interest.
        expired: true when time is up.
    """

    def __init__(
        self, holders: Holders, handlers: Handlers, tally: Tally, *, counters: bool, expired: Callable[[], bool]
    ) -> None:
        self._holders = holders
        self._handlers = handlers
        self._tally = tally
        self._counters = counters
        self._expired = expired
        self._seen: set[int] = set()
        self._of_unknown_space: set[int] = set()
        """Sockets of which not even the namespace could be found out."""
        self._bound_listed = True

    def all(self) -> Iterator[SocketRecord]:
        """Every socket, namespace by namespace; then those that no table lists."""
        done: set[int] = set()
        for number, paths in namespaces.known(self._holders.namespaces, self._tally).items():
            if self._expired():
                return
            name = namespaces.name_of(number)
            try:
                found = self._read_inside(number, name, paths) if paths else self._read_here(name)
            except FileNotFoundError:  # who lived there has ended; if somebody holds a socket of it, that leads there
                continue
            done.add(number)
            yield from self._of_namespace(name, found)
        for number, descriptor in self._of_nobody(done):
            with os.fdopen(descriptor):
                name = namespaces.name_of(number)
                found = self._read_inside(number, name, (f"/proc/self/fd/{descriptor}",))
            yield from self._of_namespace(name, found)
        yield from self._unlisted()

    def _of_namespace(self, name: str, found: _Found) -> Iterator[SocketRecord]:
        self._bound_listed = self._bound_listed and found.bound_listed
        for record in found.records:
            record.namespace = name
            if record.inode:
                self._seen.add(record.inode)
                record.holders = self._holders.by_inode.get(record.inode, [])
            yield record

    def _read_inside(self, number: int, name: str, paths: tuple[str, ...]) -> _Found:
        try:
            descriptor = namespaces.opened(number, paths)
        except FileNotFoundError:
            raise
        except OSError:
            return self._read_from_outside(name, paths)
        try:
            with namespaces.inside(descriptor):
                return self._read_here(name)
        except OSError:
            return self._read_from_outside(name, paths)
        finally:
            os.close(descriptor)

    def _read_from_outside(self, name: str, paths: tuple[str, ...]) -> _Found:
        """What a process in there sees in its /proc/PID/net, which needs no entering."""
        folders = [f"{path.removesuffix('/ns/net')}/net" for path in paths if path.endswith("/ns/net")]
        folder = next((one for one in folders if os.access(f"{one}/tcp", os.R_OK)), "")
        if not folder:
            self._tally.skip(NOT_ENTERED, name)
            return _Found([], bound_listed=False)
        records = [one for what in _ASKED for one in self._listed(what, _LISTED[what], folder)]
        return _Found([*records, *self._others(folder), *self._unix_listed(folder)], bound_listed=False)

    def _read_here(self, name: str) -> _Found:
        records: list[SocketRecord] = []
        bound_listed = False
        try:
            diag: Diag | None = Diag()
        except OSError:
            diag = None
        try:
            for what in _ASKED:
                asked = self._asked(diag, what, lambda diag, what=what: diag.inet(what, counters=self._counters))  # type: ignore[misc]  # mypy takes the default for a second argument
                bound_listed = bound_listed or (what == "tcp" and asked is not None)
                records += asked if asked is not None else self._listed(what, _LISTED[what], _HERE, name)
            unix = self._asked(diag, "unix", lambda diag: diag.unix())
            records += unix if unix is not None else self._unix_listed(_HERE)
            records += self._others(_HERE)
        finally:
            if diag is not None:
                diag.close()
        if any(record.interface for record in records):
            interfaces = dict(socket.if_nameindex())  # a number means another interface in each namespace
            for record in records:
                record.interface_name = interfaces.get(record.interface, "")
        return _Found(records, bound_listed)

    def _asked(
        self, diag: Diag | None, what: str, ask: Callable[[Diag], Iterator[SocketRecord]]
    ) -> list[SocketRecord] | None:
        if self._expired():
            return []
        if diag is None or not self._handlers.may_ask(what):
            return None
        asked = ask(diag)
        try:
            # One that was left in the middle answers nothing more, but time is over then.
            found: list[SocketRecord] = []
            while piece := list(itertools.islice(asked, _AT_ONCE)):
                found += piece
                if self._expired():
                    break
            return found
        except OSError:
            return None

    def _others(self, folder: str) -> Iterator[SocketRecord]:
        for what, files in _ALWAYS_LISTED.items():
            yield from self._listed(what, files, folder)
        yield from self._checked(procnet.packet(self._lines(f"{folder}/packet")))
        yield from self._checked(procnet.netlink(self._lines(f"{folder}/netlink")))

    def _listed(self, what: str, files: tuple[str, ...], folder: str, name: str = "") -> Iterator[SocketRecord]:
        for file in files:
            yield from self._checked(procnet.inet(what, self._lines(f"{folder}/{file}", name)))

    def _unix_listed(self, folder: str) -> Iterator[SocketRecord]:
        return self._checked(procnet.unix(self._lines(f"{folder}/unix")))

    def _checked(self, found: Iterator[SocketRecord | None]) -> Iterator[SocketRecord]:
        for record in found:
            if record is None:
                self._tally.skip(BAD_LINE)
            else:
                yield record

    def _lines(self, path: str, name: str = "") -> list[bytes]:
        try:
            with open(path, "rb") as file:
                return file.read().splitlines()
        except FileNotFoundError:  # this kernel has no such sockets
            return []
        except OSError as error:
            self._tally.failed(NO_TABLE, f"{path} {name}".strip(), error.strerror or str(error))
            return []

    def _left(self) -> Iterator[tuple[int, str, int, str]]:
        """Sockets that somebody holds and no table lists: inode, folder of a thread, descriptor, kind."""
        for inode, (folder, number) in self._holders.descriptor_of.items():
            if inode in self._seen or self._expired():
                continue
            kind = protocol_of(folder, number)
            try:
                if kind and os.readlink(f"{folder}/fd/{number}") == f"socket:[{inode}]":
                    yield inode, folder, number, kind
            except OSError:
                continue  # closed meanwhile

    def _of_nobody(self, done: set[int]) -> Iterator[tuple[int, int]]:
        """Namespaces that only sockets keep alive: number and descriptor."""
        for inode, folder, number, kind in list(self._left()):
            if kind not in _NETWORK:
                continue
            try:
                descriptor = namespaces.of_socket(folder, number)
            except OSError:  # it may not be asked: its row says that its address is not known
                self._of_unknown_space.add(inode)
                continue
            space = os.fstat(descriptor).st_ino
            if space in done:
                os.close(descriptor)
                continue
            done.add(space)
            yield space, descriptor

    def _unlisted(self) -> Iterator[SocketRecord]:
        for inode, _, _, kind in self._left():
            is_bound_to_nothing = self._bound_listed and kind in _NETWORK and inode not in self._of_unknown_space
            yield SocketRecord(
                protocol=kind.removeprefix("AF_").lower().replace("-", "_"),
                state="CLOSE" if is_bound_to_nothing else "",
                local="" if is_bound_to_nothing else None,
                local_port=-1 if is_bound_to_nothing else None,
                inode=inode,
                namespace="",
                holders=self._holders.by_inode[inode],
            )
        for inode in self._holders.by_inode.keys() - self._holders.descriptor_of.keys() - self._seen:
            # Only an io_uring holds it: there is no descriptor to ask.
            holders = self._holders.by_inode[inode]
            yield SocketRecord("", local=None, local_port=None, inode=inode, holders=holders)
