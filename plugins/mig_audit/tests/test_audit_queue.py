"""The queue between the reader and the maker of events."""

from __future__ import annotations

from mig_audit.reader import AT_ONCE, Queue

RECORDS = [(1300, "x")] * 100


def test_records_leave_in_order_a_few_batches_at_a_time() -> None:
    queue = Queue(10_000)
    for number in range(AT_ONCE + 3):
        queue.put([(number, "x")])

    taken = [queue.take(0), queue.take(0), queue.take(0)]

    kinds = [[kind for batch in batches for kind, _text in batch] for batches in taken]
    assert kinds == [list(range(AT_ONCE)), list(range(AT_ONCE, AT_ONCE + 3)), []]


def test_what_waits_is_counted_and_what_does_not_fit_is_dropped_and_counted() -> None:
    queue = Queue(AT_ONCE * 100 + 200)
    for _ in range(AT_ONCE + 4):
        queue.put(RECORDS)

    before, dropped = queue.size(), queue.dropped
    queue.take(0)

    assert (before, dropped) == (AT_ONCE * 100 + 200, 200)
    assert queue.size() == 200
