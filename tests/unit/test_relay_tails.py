"""What messages have in common is read once, whoever asks, and what is remembered of it is bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from uuid import UUID

from mig_core.store.relay_tails import MOST_BYTES, RelayTails

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_core.store.database import Cursor, Row

FIRST, SECOND, GONE = (UUID(int=number) for number in range(3))


class Table:
    """A cursor over the tails there are; counts what is read."""

    def __init__(self, tails: Mapping[UUID, bytes]) -> None:
        self.read: list[UUID] = []
        self._tails = tails

    async def execute(self, statement: str, parameters: tuple[list[UUID]]) -> None:
        self._asked = parameters[0]
        self.read += self._asked

    async def fetchall(self) -> list[Row]:
        return [{"id": one, "body": self._tails[one]} for one in self._asked if one in self._tails]


def bodies(tails: RelayTails, table: Table, rows: Sequence[tuple[bytes, UUID | None]]) -> list[bytes]:
    found = [{"id": number, "body": body, "tail": tail} for number, (body, tail) in enumerate(rows)]
    return [message.body for _, message in asyncio.run(tails.whole(cast("Cursor", table), found))]


def test_a_tail_is_read_once_and_whole_messages_need_none() -> None:
    table, tails = Table({FIRST: b"-one", SECOND: b"-two"}), RelayTails()

    first = bodies(tails, table, [(b"a", FIRST), (b"whole", None), (b"b", FIRST)])
    again = bodies(tails, table, [(b"c", FIRST), (b"d", SECOND)])

    assert (first, again) == ([b"a-one", b"whole", b"b-one"], [b"c-one", b"d-two"])
    assert table.read == [FIRST, SECOND]


def test_a_message_whose_tail_has_expired_meanwhile_is_left_out() -> None:
    assert bodies(RelayTails(), Table({FIRST: b"-one"}), [(b"a", GONE), (b"b", FIRST)]) == [b"b-one"]


def test_the_oldest_tails_are_forgotten_when_they_are_too_large_together() -> None:
    half = bytes(MOST_BYTES // 2 + 1)
    table, tails = Table({FIRST: half, SECOND: half}), RelayTails()

    for action in (FIRST, SECOND, SECOND, FIRST):
        assert bodies(tails, table, [(b"", action)]) == [half]

    assert table.read == [FIRST, SECOND, FIRST]


def test_what_many_read_at_the_same_moment_is_counted_once() -> None:
    class SlowTable(Table):
        async def execute(self, statement: str, parameters: tuple[list[UUID]]) -> None:
            await asyncio.sleep(0)  # the others have their turn
            await super().execute(statement, parameters)

    quarter = bytes(MOST_BYTES // 4)
    tails = RelayTails()

    async def asked(action: UUID) -> SlowTable:
        table = SlowTable({FIRST: quarter, SECOND: quarter})
        await tails.whole(cast("Cursor", table), [{"id": 1, "body": b"", "tail": action}])
        return table

    async def scenario() -> list[UUID]:
        await asyncio.gather(*(asked(FIRST) for _ in range(4)))
        await asked(SECOND)
        return (await asked(FIRST)).read

    assert asyncio.run(scenario()) == []
