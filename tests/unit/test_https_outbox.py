"""What an agent of the ``https`` relay puts into which exchange."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayRefused, RelayUnavailable
from mig_core.network.backoff import Backoff
from mig_core.relay.https_outbox import Outbox, Parcel, Patience

if TYPE_CHECKING:
    from collections.abc import Iterator


def outbox() -> Outbox:
    return Outbox(8, Patience(), backoff=lambda: Backoff(0.001, 0.001))


class HandedIn(threading.Thread):
    """Somebody who publishes a message and waits for what becomes of it."""

    def __init__(self, box: Outbox, kind: Kind, body: bytes = b"x") -> None:
        super().__init__(daemon=True)
        self.box, self.kind, self.body = box, kind, body
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.box.hand_in(self.kind, self.body, 30)
        except (RelayUnavailable, RelayRefused) as error:
            self.error = error


@contextmanager
def waiting(box: Outbox, *kinds: Kind) -> Iterator[list[HandedIn]]:
    """Messages that were handed in, in this order."""
    threads = [HandedIn(box, kind) for kind in kinds]
    for number, thread in enumerate(threads, 1):
        thread.start()
        while len(box._letters) < number:
            time.sleep(0.001)
    yield threads
    box.close()
    for thread in threads:
        thread.join()


def sent(box: Outbox) -> Parcel:
    parcel = box.to_send(None)
    assert parcel is not None
    return parcel


def kinds(parcel: Parcel) -> list[Kind]:
    return [letter.kind for letter in parcel.letters]


def test_what_could_not_be_acknowledged_is_acknowledged_with_the_next_exchange() -> None:
    box = outbox()
    for number in (1, 2):
        assert box.hold(number)
        box.acknowledge(number)
    first = sent(box)

    box.failed(first, RelayUnavailable("away"))

    assert not box.hold(1)  # given again meanwhile: it is settled here
    second = sent(box)
    assert second.acknowledged == [1, 2]
    box.arrived(second)
    assert box.hold(1)


def test_heartbeats_and_answers_that_are_not_taken_together_travel_apart() -> None:
    box = outbox()
    with waiting(box, Kind.HEARTBEAT, Kind.RESULT):
        together = sent(box)
        box.failed(together, RelayUnavailable("no room for heartbeats"))
    box = outbox()
    box._apart = True
    with waiting(box, Kind.HEARTBEAT, Kind.RESULT) as threads:
        first = sent(box)
        box.failed(first, RelayUnavailable("no room for heartbeats"))
        second = sent(box)
        theirs = kinds(first), kinds(second)
        box.arrived(second)

    assert kinds(together) == [Kind.HEARTBEAT, Kind.RESULT]
    assert theirs == ([Kind.HEARTBEAT], [Kind.RESULT])
    assert [thread.error is None for thread in threads] == [False, True]


def test_of_several_messages_that_are_refused_each_is_tried_by_itself() -> None:
    box = outbox()
    with waiting(box, Kind.RESULT, Kind.RESULT) as threads:
        box.failed(sent(box), RelayRefused("one of them"))
        first = sent(box)
        box.failed(first, RelayRefused("this one"))
        second = sent(box)
        lengths = [len(one.letters) for one in (first, second)]
        box.arrived(second)

    assert lengths == [1, 1]
    assert sorted(thread.error is None for thread in threads) == [False, True]


def test_a_poll_is_back_when_the_next_heartbeat_is_due() -> None:
    now = 1000.0
    box = Outbox(8, Patience(), now=lambda: now)
    box._beats = (700.0, 980.0)

    assert box.poll_seconds(40.0) == 40.0  # due at 1260
    now = 1240.0
    assert 20.0 < box.poll_seconds(40.0) < 25.0


def test_a_closed_outbox_takes_nothing_and_gives_its_acknowledgements_once() -> None:
    box = outbox()
    box.hold(1)
    box.acknowledge(1)
    box.close()

    assert sent(box).acknowledged == [1]
    assert box.to_send(None) is None
    assert box.for_poll(10) is None
    with pytest.raises(RelayUnavailable):
        box.hand_in(Kind.RESULT, b"x", 1)
