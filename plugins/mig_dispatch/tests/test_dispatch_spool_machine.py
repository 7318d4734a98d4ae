"""The spool and the receipts against a model in memory: random appends, readings, crashes at any byte, restarts."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mig_dispatch.reader import Reader
from mig_dispatch.receipts import Receipts
from mig_dispatch.spool import LEAST_BYTES, Spool

SINKS = ("a", "b")
PAYLOADS = st.lists(st.integers(0, 400).map(lambda size: b"x" * size), min_size=1, max_size=8)


class SpoolMachine(RuleBasedStateMachine):
    """``kept`` is every record the spool has promised to keep, from number 1 on."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp()) / "spool"
        self.kept: list[bytes] = []
        self.count = 0
        self.go = threading.Event()
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.folder, max_bytes=LEAST_BYTES, new_id=lambda: "id", segment_bytes=1500)
        self.receipts = Receipts(self.spool, SINKS)  # makes them durable, then frees what all have passed
        self.durable_receipts = self.receipt_bytes()
        self.readers = {name: Reader(self.spool, self.receipts.of(name).next) for name in SINKS}

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()
        self.receipts.close()
        self.spool.close()

    def receipt_bytes(self) -> dict[str, bytes]:
        return {name: (self.folder / f"{name}.receipt").read_bytes() for name in SINKS}

    def unique(self, payloads: list[bytes]) -> list[bytes]:
        self.count += 1
        return [b"%d.%d." % (self.count, place) + payload for place, payload in enumerate(payloads)]

    @rule(payloads=PAYLOADS)
    def append(self, payloads: list[bytes]) -> None:
        made = self.unique(payloads)

        assert self.spool.append(made, self.go)

        self.kept += made

    @rule(name=st.sampled_from(SINKS), most=st.integers(1, 30), settle=st.integers(0, 30), dead=st.integers(0, 3))
    def deliver(self, name: str, most: int, settle: int, dead: int) -> None:
        reader = self.readers[name]
        position = reader.position
        segment_before = set(self.folder.glob("*.seg"))

        frames = reader.read(most, 5000)

        assert [one.number for one in frames] == list(range(position, position + len(frames)))
        assert [one.payload for one in frames] == self.kept[position - 1 : position - 1 + len(frames)]
        assert frames or position == len(self.kept) + 1
        settled = frames[:settle]
        if settled:
            self.receipts.settle(name, following=settled[-1].number + 1, dead=min(dead, len(settled)), damaged=0)
        if set(self.folder.glob("*.seg")) != segment_before:
            self.durable_receipts = self.receipt_bytes()
        if settled != frames:
            reader.close()
            self.readers[name] = Reader(self.spool, self.receipts.of(name).next)

    @rule()
    def sync(self) -> None:
        self.receipts.sync()

        self.durable_receipts = self.receipt_bytes()

    @rule()
    def killed_and_started_again(self) -> None:
        before = {name: self.receipts.of(name) for name in SINKS}

        self.close()
        self.open()

        assert {name: self.receipts.of(name) for name in SINKS} == before
        assert self.spool.torn == 0

    @rule(payloads=PAYLOADS, cut=st.floats(0, 1), receipts_lost=st.booleans(), hole=st.none() | st.floats(0, 1))
    def power_lost_while_appending(
        self, payloads: list[bytes], cut: float, receipts_lost: bool, hole: float | None
    ) -> None:
        made = self.unique(payloads)
        sizes = {one: one.stat().st_size for one in self.folder.glob("*.seg")}
        assert self.spool.append(made, self.go)
        self.close()
        newest = max(self.folder.glob("*.seg"))
        kept_size, size = sizes.get(newest, 0), newest.stat().st_size
        with open(newest, "r+b") as file:
            file.truncate(kept_size + round(cut * (size - kept_size)))
            if hole is not None and cut:
                place = kept_size + int(hole * (size - kept_size))
                if place < newest.stat().st_size:
                    file.seek(place)
                    file.write(b"\0")
        if receipts_lost:
            for name, content in self.durable_receipts.items():
                (self.folder / f"{name}.receipt").write_bytes(content)

        self.open()

        more = self.spool.next - 1 - len(self.kept)
        assert 0 <= more <= len(made)
        self.kept += made[:more]
        self.durable_receipts = self.receipt_bytes()

    @precondition(lambda self: hasattr(self, "spool"))
    @invariant()
    def the_books_balance(self) -> None:
        assert self.spool.next == len(self.kept) + 1
        for name in SINKS:
            receipt = self.receipts.of(name)
            assert receipt.since == 1
            assert receipt.damaged == 0
            spooled = self.spool.next - receipt.next
            assert len(self.kept) == receipt.delivered + receipt.dead + spooled
            assert receipt.delivered >= 0
            assert self.spool.first <= receipt.next

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.close()
            shutil.rmtree(self.folder.parent)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
