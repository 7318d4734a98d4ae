"""The spool: the bound, the lock, damage; and the receipts."""

from __future__ import annotations

import os
import stat
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.errors import MigError
from mig_dispatch import framing
from mig_dispatch.reader import Reader
from mig_dispatch.receipts import Receipt, ReceiptFile, Receipts
from mig_dispatch.spool import LEAST_BYTES, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GO = threading.Event()


@pytest.fixture
def spool_at(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    """Opens the spool of this test; closes the one before."""
    opened: list[Spool] = []

    def at(segment_bytes: int = 1 << 20) -> Spool:
        while opened:
            opened.pop().close()
        opened.append(
            Spool(tmp_path / "spool", max_bytes=LEAST_BYTES, new_id=lambda: "id-1", segment_bytes=segment_bytes)
        )
        return opened[-1]

    yield at
    while opened:
        opened.pop().close()


def _read_all(spool: Spool, number: int = 1) -> list[tuple[int, bytes]]:
    reader = Reader(spool, number)
    found = []
    while reader.position < spool.next:
        found += [(one.number, one.payload) for one in reader.read(100, 1 << 20)]
    reader.close()
    return found


def test_when_it_is_full_the_writer_waits_until_a_reader_has_passed(spool_at: Any, eventually: Any) -> None:
    spool = spool_at()
    receipts = Receipts(spool, ["a"])
    payload = b"x" * (1 << 20)
    for _ in range(7):
        assert spool.append([payload], GO)
    writer = threading.Thread(target=spool.append, args=([payload], GO))

    writer.start()
    eventually(lambda: spool.waiting)
    assert spool.next == 8
    receipts.settle("a", following=3, dead=0, damaged=0)

    writer.join(60)
    assert spool.next == 9
    assert spool.size <= LEAST_BYTES
    receipts.close()


def test_a_writer_that_waits_ends_when_the_module_stops_and_nothing_was_kept(spool_at: Any, eventually: Any) -> None:
    spool, stopping = spool_at(), threading.Event()
    payload = b"x" * (1 << 20)
    for _ in range(7):
        assert spool.append([payload], stopping)
    answers: list[bool] = []
    writer = threading.Thread(target=lambda: answers.append(spool.append([payload], stopping)))
    writer.start()
    eventually(lambda: spool.waiting)

    stopping.set()
    spool.wake()
    writer.join(60)

    assert answers == [False]
    assert spool.next == 8


def test_a_batch_larger_than_the_whole_spool_passes_through_in_parts(spool_at: Any) -> None:
    spool = spool_at()
    receipts = Receipts(spool, ["a"])
    payloads = [b"%d" % number + b"x" * (1 << 20) for number in range(20)]
    writer = threading.Thread(target=lambda: spool.append(payloads, GO))
    writer.start()
    reader = Reader(spool, 1)
    read: list[bytes] = []

    while len(read) < 20:
        assert spool.wait_beyond(reader.position, 60)
        for one in reader.read(1, 1):
            read.append(one.payload)
            receipts.settle("a", following=one.number + 1, dead=0, damaged=0)

    writer.join()
    reader.close()
    receipts.close()
    assert read == payloads


def test_files_are_private_and_one_process_has_them(spool_at: Any, tmp_path: Path) -> None:
    spool = spool_at()
    spool.append([b"{}"], GO)

    with pytest.raises(MigError, match="another process"):
        Spool(tmp_path / "spool", max_bytes=LEAST_BYTES, new_id=lambda: "id-2")

    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "spool").iterdir()} == {0o600}


def test_its_identity_and_its_numbers_survive(spool_at: Any) -> None:
    first = spool_at()
    first.append([b"1", b"2"], GO)

    second = spool_at()

    assert second.id == "id-1"
    assert second.next == 3
    assert _read_all(second) == [(1, b"1"), (2, b"2")]


def test_numbers_go_on_after_everything_was_released(spool_at: Any) -> None:
    spool = spool_at(segment_bytes=100)
    for number in range(10):
        spool.append([b"%d" % number * 50], GO)
    spool.release(11)

    again = spool_at(segment_bytes=100)

    assert again.next == 11
    assert len(list(again.folder.glob("*.seg"))) == 1


def test_damage_in_a_closed_segment_costs_only_the_damaged_records(spool_at: Any) -> None:
    spool = spool_at(segment_bytes=400)
    for number in range(1, 31):
        spool.append([b"%02d" % number * 20], GO)
    oldest = min(spool.folder.glob("*.seg"))
    content = bytearray(oldest.read_bytes())
    content[framing.HEADER_BYTES + 5] ^= 0xFF
    oldest.write_bytes(content)

    numbers = [number for number, _ in _read_all(spool_at(segment_bytes=400))]

    assert numbers == list(range(2, 31))


def test_damage_to_durable_records_of_the_newest_segment_does_not_cost_those_behind_it(spool_at: Any) -> None:
    spool = spool_at()
    for number in range(1, 6):
        spool.append([b"%d" % number * 20], GO)
    newest = max(spool.folder.glob("*.seg"))
    content = bytearray(newest.read_bytes())
    content[framing.HEADER_BYTES + 5] ^= 0xFF
    newest.write_bytes(content)

    again = spool_at()

    assert again.torn == 0
    assert again.next == 6
    assert [number for number, _ in _read_all(again)] == [2, 3, 4, 5]


def test_a_hole_in_the_last_batch_ends_the_spool_there(spool_at: Any) -> None:
    spool = spool_at()
    spool.append([b"1"], GO)
    spool.append([b"2", b"3", b"4"], GO)
    newest = max(spool.folder.glob("*.seg"))
    content = newest.read_bytes()
    place = content.rindex(b"3")
    newest.write_bytes(content[:place] + b"\0" + content[place + 1 :])

    again = spool_at()

    assert again.next == 3
    assert again.torn > 0
    assert _read_all(again) == [(1, b"1"), (2, b"2")]


def test_a_segment_that_vanished_does_not_stop_the_reader(spool_at: Any) -> None:
    spool = spool_at(segment_bytes=100)
    for number in range(10):
        spool.append([b"%d" % number * 50], GO)
    sorted(spool.folder.glob("*.seg"))[4].write_bytes(b"")

    numbers = [number for number, _ in _read_all(spool)]

    assert numbers == [1, 2, 3, 4, 6, 7, 8, 9, 10]


@given(content=st.binary(max_size=400), offset=st.integers(0, 400))
def test_any_bytes_are_a_record_or_none(content: bytes, offset: int) -> None:
    found = framing.find(content, offset)
    whole = framing.find(content + framing.encode(7, 7, b"{}"), len(content))

    assert found is None
    assert whole is not None
    assert whole.number == 7


@given(cut=st.integers(0, 5000), flip=st.integers(0, 5000))
def test_a_receipt_survives_damage_to_the_slot_that_was_being_written(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    path = tmp_path_factory.mktemp("receipt") / "a.receipt"
    file = ReceiptFile(path)
    for number in range(1, 5):
        file.store(Receipt(1, 10 * number, number))
    file.close()
    content = path.read_bytes()
    newest = max((0, 4096), key=lambda offset: int.from_bytes(content[offset + 8 : offset + 16], "little"))
    size = 76
    damaged = bytearray(content)
    damaged[newest + flip % size] ^= 0x55
    path.write_bytes(damaged)

    again = ReceiptFile(path)

    assert again.receipt in (Receipt(1, 30, 3), Receipt(1, 40, 4))
    again.store(Receipt(1, 50, 5))
    again.close()
    third = ReceiptFile(path)
    assert third.receipt == Receipt(1, 50, 5)
    third.close()


@pytest.mark.parametrize(("mark", "numbers"), [(b"MIGrcpt1", (1, 30, 3, 2)), (b"MIGrcpt2", (1, 30, 3, 2, 7))])
def test_a_receipt_of_an_earlier_release_goes_on(tmp_path: Path, mark: bytes, numbers: tuple[int, ...]) -> None:
    slot = struct.pack(f"<8sQ{len(numbers)}Q", mark, 5, *numbers)
    (tmp_path / "a.receipt").write_bytes(slot + struct.pack("<I", zlib.crc32(slot)))

    file = ReceiptFile(tmp_path / "a.receipt")
    assert file.receipt == Receipt(*numbers)
    file.store(Receipt(1, 31, 3, 2, 7, 4, 5))
    file.close()

    assert file.receipt == Receipt(1, 31, 3, 2, 7, 4, 5)
    again = ReceiptFile(tmp_path / "a.receipt")
    assert again.receipt == file.receipt
    assert again.receipt.delivered == 9
    again.close()


def test_a_new_sink_gets_what_is_still_there_and_one_that_comes_back_goes_on(spool_at: Any) -> None:
    spool = spool_at(segment_bytes=100)
    both = Receipts(spool, ["a", "b"])
    for number in range(10):
        spool.append([b"%d" % number * 50], GO)
    both.settle("a", following=6, dead=1, damaged=0)
    both.settle("b", following=4, dead=0, damaged=0)
    both.close()

    again = Receipts(spool, ["a", "c"])

    assert again.of("a") == Receipt(1, 6, dead=1)
    assert again.of("a").delivered == 4
    assert again.of("c").since == 4
    again.close()


def test_a_disk_that_refuses_leaves_nothing_behind(spool_at: Any, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    spool = spool_at()
    spool.append([b"1"], GO)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            spool.append([b"x" * 200], GO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    assert spool.append([b"2"], GO)
    assert _read_all(spool_at()) == [(1, b"1"), (2, b"2")]
    assert os.listdir(tmp_path)
