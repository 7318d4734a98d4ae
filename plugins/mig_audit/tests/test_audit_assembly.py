"""Joining records, and counting what never came. Time is a number here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mig_audit.assembly import WAIT, Assembly
from mig_audit.losses import SETTLE, Gaps, Losses

Emitted = list[tuple[str, list[int], bool]]


def made() -> tuple[Assembly, Emitted]:
    emitted: Emitted = []
    assembly = Assembly(
        lambda stamp, records, whole: emitted.append((stamp, [kind for kind, _text in records], whole)),
        lambda _stamp, _now: None,
    )
    return assembly, emitted


def record(kind: int, serial: int) -> tuple[int, str]:
    return kind, f"audit(1700000000.123:{serial}): x=1"


def test_records_of_two_events_that_arrive_mixed_are_kept_apart() -> None:
    assembly, emitted = made()

    assembly.add([record(1300, 1), record(1300, 2), record(1302, 1), record(1320, 2), record(1320, 1)], 0.0)

    assert emitted == [("1700000000.123:2", [1300], True), ("1700000000.123:1", [1300, 1302], True)]


def test_a_record_without_end_leaves_after_the_wait_and_not_before() -> None:
    assembly, emitted = made()
    assembly.add([record(1305, 1)], 0.0)

    assembly.settle(WAIT - 0.1)
    assert emitted == []
    assembly.settle(WAIT)

    assert emitted == [("1700000000.123:1", [1305], True)]


def test_a_system_call_whose_end_is_missing_leaves_marked_as_not_whole() -> None:
    assembly, emitted = made()
    assembly.add([record(1300, 1), record(1302, 1)], 0.0)

    assembly.settle(WAIT)

    assert emitted == [("1700000000.123:1", [1300, 1302], False)]


def test_messages_of_programs_leave_at_once() -> None:
    assembly, emitted = made()

    assembly.add([record(1112, 1), record(2100, 2)], 0.0)

    assert [kinds for _stamp, kinds, _whole in emitted] == [[1112], [2100]]


def test_netlinks_own_messages_and_the_kernels_sign_of_life_are_no_events() -> None:
    assembly, emitted = made()

    assembly.add([(2, "\x00\x00"), (3, ""), (1329, "\x01\x02"), (1320, "audit(1.000:1): ")], 0.0)
    assembly.flush()

    assert emitted == []


KINDS = st.sampled_from([1112, 1300, 1302, 1305, 1320, 1999, 2500])
TEXTS = st.text() | st.sampled_from(["audit(1.000:1): x=1", "audit(1.000:2): ", "audit(1.000:3):", "audit(): "])


@given(st.lists(st.tuples(KINDS, TEXTS)))
def test_any_records_can_be_added_and_none_disappears(records: list[tuple[int, str]]) -> None:
    assembly, emitted = made()

    assembly.add(records, 0.0)
    assembly.flush()

    left = sorted(kind for _stamp, kinds, _whole in emitted for kind in kinds if kind != 1320)
    assert left == sorted(kind for kind, _text in records if kind != 1320)


def test_serials_that_overtake_one_another_are_no_gap() -> None:
    gaps = Gaps()

    for serial in (1, 3, 2, 5, 4):
        gaps.see(serial, 0.0)

    assert gaps.settled(SETTLE * 2) == []


def test_serials_that_never_come_are_counted_once_after_a_while() -> None:
    gaps = Gaps()
    for serial in (1, 4, 5, 7):
        gaps.see(serial, 0.0)

    assert gaps.settled(SETTLE - 0.1) == []
    assert gaps.settled(SETTLE) == [(2, 3), (6, 6)]
    assert gaps.settled(SETTLE * 2) == []


def test_a_very_wide_gap_counts_at_once_and_costs_no_memory() -> None:
    gaps = Gaps()

    gaps.see(1, 0.0)
    gaps.see(1 << 31, 0.0)

    assert gaps.settled(0.0) == [(2, (1 << 31) - 1)]


def test_serials_that_start_over_are_no_gap() -> None:
    gaps = Gaps()

    for serial in ((1 << 32) - 1, 1, 2):
        gaps.see(serial, 0.0)

    assert gaps.settled(SETTLE) == []


@given(st.permutations(list(range(1, 30))), st.sets(st.integers(2, 28)))
def test_exactly_the_serials_that_are_left_out_are_counted(order: list[int], left_out: set[int]) -> None:
    gaps = Gaps()
    gaps.see(1000, 0.0)

    for serial in [one for one in order if one not in left_out]:
        gaps.see(1000 + serial, 0.0)
    gaps.see(1030, 0.0)

    missing = {serial - 1000 for first, last in gaps.settled(SETTLE) for serial in range(first, last + 1)}
    assert missing == left_out


def test_losses_are_told_once_with_totals() -> None:
    losses = Losses()
    losses.kernel(100)
    assert losses.event("now", 1) is None

    losses.kernel(130)
    losses.absence(5, 9)
    told = losses.event("now", 1)

    assert told is not None
    assert told["type"] == "audit_loss"
    assert told["lost"] == {"kernel_lost": 30, "absent_events": 5}
    assert told["serials"] == [[5, 9]]
    assert losses.event("now", 1) is None


def test_the_number_of_lost_events_has_bounds() -> None:
    losses = Losses()
    losses.kernel(0)

    losses.kernel(100)  # a full backlog: so many events, or records of fewer
    assert losses.bounds() == (0, 100)
    losses.total.missing_events = 20  # a rate limit: five records each
    assert losses.bounds() == (20, 100)
    losses.total.queue_records = 1  # ours as well: a gap need not be the kernel's
    assert losses.bounds() == (20, 120)


def test_a_kernel_counter_that_somebody_resets_goes_on() -> None:
    losses = Losses()
    for lost in (50, 60, 3):
        losses.kernel(lost)

    assert losses.total.kernel_lost == 13
