"""Large results of agents, in pieces: each goes to its place in the database, and the last makes a message of them.

So an answer fits through any proxy, no more of it than a piece is ever in mig-api's memory, and what is torn in the
middle is no message. A result that no command waits for is refused at its first piece.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.api.exchange import Access, Bound, Call, Parameter, Reply, Route
from mig_core.domain.ids import CommandId, check_uuid
from mig_core.domain.messages import MAX_PIECE_BYTES, MAX_PIECES, Kind, Piece
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.intake import Intake
    from mig_core.relay.base import RelayQueue
    from mig_core.store.base import Commands

OCTETS = "application/octet-stream"

_UPLOAD = re.compile(r"[0-9a-f]{32}")


class UploadResources:
    """PUT /relay/uploads/{upload}/{piece}"""

    def __init__(self, queue: RelayQueue, commands: Commands, intake: Intake, *, clock: Callable[[], datetime]) -> None:
        self._queue = queue
        self._commands = commands
        self._intake = intake
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "PUT",
                "/relay/uploads/{upload}/{piece}",
                "Hands in a piece of a signed result's zlib stream; says whether it was the last that was missing",
                Access.AGENT,
                body=MAX_PIECE_BYTES,
                body_seconds=120.0,
                takes=OCTETS,
                request="Octets",
                response="Upload",
                query=(
                    Parameter("pieces", f"how many there are, at most {MAX_PIECES}", "integer"),
                    Parameter("command", "which command it answers; 410 when that one waits for no answer"),
                ),
            ),
            self.put,
        )

    async def put(self, call: Call) -> Reply:
        """PUT /relay/uploads/{upload}/{piece}"""
        agent = call.calling_agent
        upload = call.path["upload"]
        if not _UPLOAD.fullmatch(upload):
            raise InvalidDocument("request", f"must be 32 hexadecimal digits, got {upload!r:.80}", path="upload")
        pieces = call.whole_number("pieces", default=0, minimum=1, maximum=MAX_PIECES + 1)
        number = call.path["piece"]
        if not 0 < pieces <= MAX_PIECES:
            raise InvalidDocument("request", f"must be from 1 to {MAX_PIECES}", path="pieces")
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < pieces):
            raise InvalidDocument("request", f"must be a number below {pieces}, got {number!r:.80}", path="piece")
        if not call.body:
            raise InvalidDocument("piece", "is empty")
        if number == "0" and "command" in call.query:
            command = CommandId(check_uuid(call.query["command"], subject="request", path="command"))
            (fate,) = await self._commands.awaited([(command, agent)])
            if fate is not None:
                raise ApiError(410, f"no command waits for this answer: {fate.value}")
        self._intake.check_stored(agent, Kind.RESULT, len(call.body))
        # Cut otherwise it is another upload, even of the same message.
        piece = Piece(f"{upload}.{pieces}", int(number), pieces, call.body)
        return Reply({"complete": await self._queue.put_piece(agent, piece, self._clock())})
