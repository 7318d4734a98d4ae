"""The module itself: from what is asked to rows. The composition root of the plugin."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING

from mig_core.domain.result import ModuleResult
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.printing import coverage_lines, duration_text, mapping, printable
from mig_core.plugin.table import TIME_UP, TableContext, TableModule
from mig_core.records import replace
from mig_endpoint.user_names import user_name
from mig_netstat import classic
from mig_netstat.declaration import COLUMNS, OPTIONS, SOCKETS, WHAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.module import Context
    from mig_core.plugin.parameters import Values
    from mig_endpoint.processes.proc import Proc
    from mig_netstat.handlers import Handlers
    from mig_netstat.holders import Holders
    from mig_netstat.socket_record import SocketRecord

ANY_IPV4 = "0.0.0.0"  # noqa: S104  # nothing is bound to it
_CLASSIC_RESULT = frozenset({"localmac", "localip", "neighbormac", "neighborip", "connectedip", "listeningport"})


class NetstatModule(TableModule):
    """Says who listens, who talks to whom, and who holds the sockets; in every network namespace."""

    info = ModuleInfo(
        name="netstat",
        summary="find sockets, their holders, interfaces, neighbours and routes",
        needs_root=True,
        discloses="addresses and ports of connections, and the programs that hold them",
        preload=(
            *("mig_netstat.sockets", "mig_netstat.handlers", "mig_netstat.names", "mig_netstat.routing"),
            *("mig_netstat.firewall", "mig_endpoint.processes.proc", "mig_endpoint.processes.visit"),
            "mig_endpoint.processes.container",
        ),
    )
    columns = COLUMNS
    options = OPTIONS

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        """Rows; or the original's elements where one of its six questions is asked."""
        if not classic.is_asked(parameters):
            return super().run(parameters, context)
        started = time.monotonic_ns()
        tally = Tally()
        rows = _Look(tally, context.expired, counters=False).rows(classic.needs(parameters))
        found, hits = classic.elements(parameters, rows)
        if context.expired():
            tally.skip(TIME_UP)
        statistics: dict[str, JSON] = {
            "examined": tally.count("items"),
            "exectime": duration_text(time.monotonic_ns() - started),
            "totalhits": hits,
        }
        return ModuleResult(hits > 0, True, found, statistics, tally.errors(), tally.coverage())

    def look(self, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        """A row for each thing of the kinds asked about."""
        asked = context.values.texts("ask") or (SOCKETS,)
        wanted = frozenset(WHAT if "all" in asked else asked)
        counters = context.wants("sent") or context.wants("received")
        yield from _Look(tally, context.expired, counters=counters, rules_out=context.rules_out).rows(wanted)

    def rows(self, result: ModuleResult) -> Iterator[Row]:
        """The rows, also of an answer to one of the original's questions."""
        if _CLASSIC_RESULT & mapping(result.elements).keys():
            yield from classic.rows(result.elements)
        else:
            yield from super().rows(result)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without addresses and holders."""
        masked = super().mask(result)
        if _CLASSIC_RESULT & mapping(result.elements).keys():
            return replace(masked, elements=classic.masked(result.elements))
        return masked

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """The original's lines for its questions, a line for each row otherwise."""
        if not _CLASSIC_RESULT & mapping(result.elements).keys():
            yield from super().lines(result, found_only=found_only)
            return
        for line in classic.lines(result.elements, found_only=found_only):
            yield printable(line)
        if found_only:
            return
        for error in result.errors:
            yield printable(f"error: {error}")
        yield from coverage_lines(result.coverage)
        said = mapping(result.statistics)
        yield printable(
            f"Statistics: total hits {said.get('totalhits')} examined {said.get('examined')} items "
            f"exectime {said.get('exectime')}"
        )


class _Look:
    """One look at the network of this endpoint."""

    def __init__(
        self,
        tally: Tally,
        expired: Callable[[], bool],
        *,
        counters: bool,
        rules_out: Callable[..., bool] = lambda **_cells: False,
    ) -> None:
        self._rules_out = rules_out
        self._tally = tally
        self._expired = expired
        self._counters = counters

    def rows(self, wanted: frozenset[str]) -> Iterator[dict[str, Cell]]:
        """The rows about everything wanted."""
        from mig_endpoint.processes.proc import Proc
        from mig_netstat import names
        from mig_netstat.handlers import Handlers
        from mig_netstat.holders import Holders

        if self._expired():
            return
        handlers, holders = Handlers(), Holders()
        with Proc(self._tally) as proc:
            holders.walk(proc, self._tally, expired=self._expired)
            if SOCKETS in wanted:
                yield from self._sockets(handlers, holders)
            yield from self._spaces(wanted, handlers, holders, proc)
        if names.RESOLVERS in wanted:
            yield from names.resolvers(self._tally)
        if names.HOSTS in wanted:
            yield from names.hosts(self._tally)

    def _sockets(self, handlers: Handlers, holders: Holders) -> Iterator[dict[str, Cell]]:
        from mig_netstat.sockets import Sockets

        sockets = Sockets(holders, handlers, self._tally, counters=self._counters, expired=self._expired)
        for record in sockets.all():
            self._tally.examined("items")
            row = self._row(record)
            if record.dual_stack is not False and self._rules_out(local_address=record.local):
                row["local_address"] = ANY_IPV4 if record.dual_stack else None  # its other form may be asked for
            yield row

    def _spaces(
        self, wanted: frozenset[str], handlers: Handlers, holders: Holders, proc: Proc
    ) -> Iterator[dict[str, Cell]]:
        from mig_netstat import firewall, namespaces, routing

        kinds = wanted & {*routing.KINDS, firewall.FIREWALL}
        if not kinds:
            return
        folders = itertools.takewhile(lambda _: not self._expired(), map(proc.path_of, proc.ids()))
        elsewhere = namespaces.mounted_elsewhere(folders)
        done = set()
        for number, paths in namespaces.known({**elsewhere, **holders.namespaces}, self._tally).items():
            if self._expired():
                return
            done.add(number)
            for row in routing.rows(kinds, number, paths, handlers, self._tally):
                self._tally.examined("items")
                yield row
        for folder, descriptor in holders.descriptor_of.values():
            if self._expired():
                return
            with contextlib.suppress(OSError), os.fdopen(namespaces.of_socket(folder, descriptor)) as held:
                path = f"/proc/self/fd/{held.fileno()}"
                if (number := namespaces.number_of(path)) not in done:
                    done.add(number)
                    yield from routing.rows(kinds, number, (path,), handlers, self._tally)

    @staticmethod
    def _row(record: SocketRecord) -> dict[str, Cell]:
        """``processes`` is None where nobody was seen to hold it: the kernel may, or it is on its way to somebody."""
        uid = record.uid
        row: dict[str, Cell] = {
            "what": SOCKETS,
            "protocol": record.protocol,
            "state": record.state,
            "local_address": record.local,
            "remote_address": record.remote,
            "namespace": record.namespace,
            "path": record.path,
            "processes": record.holders or None,
            "uid": uid,
            "user": None if uid is None else user_name(uid),
        }
        _put_numbers(row, record)
        if record.interface:
            row["interface"] = record.interface_name or str(record.interface)
        if record.dual_stack is not False:
            row["dual_stack"] = record.dual_stack
        return row


def _put_numbers(row: dict[str, Cell], record: SocketRecord) -> None:
    """What there is of them: a port of -1 is none, and so is a queue of 0. Written out: done for each socket."""
    if record.local_port is None or record.local_port >= 0:
        row["local_port"] = record.local_port
    if record.remote_port >= 0:
        row["remote_port"] = record.remote_port
    if record.timer >= 0:
        row["timer"] = record.timer
    if record.sent >= 0:
        row["sent"], row["received"] = record.sent, record.received
    if record.inode:
        row["inode"] = record.inode
    if record.peer:
        row["peer"] = record.peer
    if record.receive_queue:
        row["receive_queue"] = record.receive_queue
    if record.send_queue:
        row["send_queue"] = record.send_queue
