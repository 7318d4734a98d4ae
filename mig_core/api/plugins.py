"""What plugins add to the API: things to read, below ``/plugins/``."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from mig_core.api.exchange import Bound, Call, Reply, Route
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from mig_core.plugin.hooks import Answer

_SEGMENT = re.compile(r"[a-z0-9_-]{1,64}")

log = logging.getLogger(__name__)


class PluginResources:
    """Answers of plugins, by the last segment of their path; the first plugin that claims a segment has it."""

    def __init__(self, offered: Sequence[Mapping[str, Answer] | None]) -> None:
        self._answers: dict[str, Answer] = {}
        for answers in offered:
            for segment, answer in (answers or {}).items():
                if _SEGMENT.fullmatch(segment) and segment not in self._answers:
                    self._answers[segment] = answer
                else:
                    log.warning("a plugin's route %r is left out: it is no path segment, or taken", segment)

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        for segment, answer in self._answers.items():
            route = Route("GET", f"/plugins/{segment}", "From a plugin", Permission.READ, response="PluginAnswer")
            yield Bound(route, _handler(answer))


def _handler(answer: Answer) -> Callable[[Call], Awaitable[Reply]]:
    async def handle(call: Call) -> Reply:
        return Reply(await answer(call.query))

    return handle
