"""Looks into the memory of processes. Who is there and how memory is read: ``mig_endpoint.processes``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.naming import shown
from mig_endpoint.processes import reasons as process_reasons
from mig_endpoint.processes.askers import find_askers, own_id
from mig_endpoint.processes.executable import name_of
from mig_endpoint.processes.origins import Origins
from mig_endpoint.processes.plan import Extent
from mig_endpoint.processes.rounds import Rounds
from mig_endpoint.processes.scan import Scan
from mig_endpoint.processes.visit import visit
from mig_yara import reasons, rows
from mig_yara.engine import names_of
from mig_yara.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process
    from mig_yara.engine import Engine, Matched
    from mig_yara.pieces import Pieces

MAX_ROWS = 20_000


class Processes:
    """Looks into the memory of processes; to be closed.

    Args:
        proc: where they are.
        engine: judges.
        pieces: scans.
        wanted: whether a process is asked for, by the paths of its executable.
        nofiles: leaves out what is as in the file it was mapped from.
        tally: where what is left out is booked.
        remaining: seconds until the deadline.
    """

    def __init__(
        self,
        proc: Proc,
        engine: Engine,
        pieces: Pieces,
        wanted: Callable[[Sequence[str]], bool],
        tally: Tally,
        remaining: Callable[[], float],
        *,
        nofiles: bool = False,
    ) -> None:
        self._proc = proc
        self._engine = engine
        self._pieces = pieces
        self._wanted = wanted
        self._extent = Extent(0, 0, nofiles)
        self._tally = tally
        self._remaining = remaining
        self._origins = Origins(remaining)
        self._window = Window(pieces)
        self.rows: list[dict[str, JSON]] = []
        for kind in ("processes", "bytes"):
            tally.examined(kind, 0)

    def close(self) -> None:
        """Lets go of what did not answer."""
        self._origins.close()

    def look_at_all(self) -> Iterator[None]:
        """Looks at every process, then at those that are new; yields after each."""
        self._pieces.book(reasons.NOT_IN_PIECES)
        rounds = Rounds(self._proc, self._tally, frozenset({own_id()}))
        for ids in rounds:
            askers = find_askers(ids)
            for pid in ids:
                if self._remaining() <= 0:
                    self._tally.skip(reasons.TIME, f"process {pid}")
                    continue

                def judge(process: Process, *, asks: bool = pid in askers.others) -> None:
                    self._judge(process, asks=asks, again=rounds.was_counted(process))

                visit(self._proc, pid, self._tally, rounds.note, judge)
                yield

    def _judge(self, process: Process, *, asks: bool, again: bool) -> None:
        if not process.has_memory():
            return
        name = name_of(process)
        if not self._wanted([shown(name.shown), shown(name.path)]):
            return
        subject = f"process {process.pid} {shown(name.shown)}"
        if asks:
            self._tally.skip(reasons.ASKER, subject)
            return
        if not again:
            self._tally.examined("processes")
        for one in self._matched(process, name.path, subject):
            row = rows.of_process(one, process, shown(name.shown))
            if again and row in self.rows:
                continue
            if len(self.rows) < MAX_ROWS:
                self.rows.append(row)
            else:
                self._tally.skip(reasons.FULL)

    def _matched(self, process: Process, path: str, subject: str) -> Sequence[Matched]:
        """The rules that match its memory. ``path``: of its executable."""
        self._pieces.begin(subject)
        self._engine.name(names_of(path))
        try:
            scan = Scan(process, self._origins, self._window, lambda: self._remaining() <= 0)
        except PermissionError:
            self._tally.failed(self._proc.denied, f"process {process.pid}", "permission denied")
            return ()
        self._window.address = lambda: scan.address
        try:
            scan.search(self._extent, set())
            if scan.seen.expired:
                raise DeadlinePassed
            return self._pieces.finish()
        except DeadlinePassed:
            self._tally.skip(reasons.TIME, subject)
            return ()
        finally:
            scan.close()
            self._book(process, scan)

    def _book(self, process: Process, scan: Scan) -> None:
        seen, example = scan.seen, f"process {process.pid}"
        self._tally.examined("bytes", seen.bytes)
        if seen.ended:
            self._tally.skip(process_reasons.ENDED, example)
        if seen.devices:
            self._tally.skip(process_reasons.DEVICE, example, count=seen.devices)
        for reason, count in seen.left.items():
            self._tally.skip(reason, example, count=-(-count >> 10))
        for start, end in seen.unreadable:
            self._tally.skip(process_reasons.UNREADABLE, f"{example}: {start:#x} to {end:#x}")
