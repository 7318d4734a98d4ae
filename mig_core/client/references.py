"""What people type for an action or an agent: the beginning of an id, ``last``, a name; what they may have meant."""

from __future__ import annotations

import contextlib
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mig_core.domain.ids import check_agent_id, check_uuid
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BACK = 100
NAMES_LOOKED_AT = 2000
"""Agents among whose names a misspelt one is looked for."""
_BACK = re.compile(r"last(?:-([0-9]{1,3}))?|-([1-9][0-9]{0,2})")
_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_AGENT_PREFIX = re.compile(r"[a-z2-7]{4,31}")


class Lists(Protocol):
    """The lists in which it is looked for: see :class:`mig_core.client.client.MigClient`."""

    def actions(
        self,
        *,
        states: Sequence[str] = (),
        name: str = "",
        creator: str = "",
        prefix: str = "",
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Actions, latest first."""
        ...

    def agents(
        self, *, target: str = "", states: Sequence[str] = (), limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Agents by name."""
        ...


def is_reference(text: str) -> bool:
    """Whether a text may name an action: ``last``, ``-2``, the beginning of an id."""
    return bool(_BACK.fullmatch(text) or _PREFIX.fullmatch(text.lower()))


def find_action(client: Lists, creator: str, text: str) -> str:
    """See :meth:`mig_core.client.client.MigClient.action_id`."""
    text = text.strip()
    with contextlib.suppress(InvalidDocument):
        return check_uuid(text.lower(), subject="action", path="")
    back = _BACK.fullmatch(text)
    if back:
        steps = int(back[2]) - 1 if back[2] else int(back[1] or 0)
        return _back(client, creator, min(steps, MAX_BACK), text)
    if not _PREFIX.fullmatch(text.lower()):
        raise ApiError(
            400, f"{text!r:.60} names no action", next_step="give its id or the beginning of it, last, or -2"
        )
    found = list(client.actions(prefix=text.lower(), limit=5))
    if not found:
        raise ApiError(404, f"no action's id begins with {text}", next_step="mig actions lists them")
    if len(found) > 1:
        several = "; ".join(f"{one['id']} {one['name']:.40}" for one in found)
        raise ApiError(409, f"several actions begin with {text}: {several}", next_step="give more of the id")
    return str(found[0]["id"])


def _back(client: Lists, creator: str, steps: int, text: str) -> str:
    for one in islice(client.actions(creator=creator, limit=steps + 1), steps, None):
        return str(one["id"])
    raise ApiError(404, f"{text}: you have not asked so many questions yet", next_step="mig actions lists all")


def find_agent(client: Lists, text: str) -> str:
    """See :meth:`mig_core.client.client.MigClient.agent_id`."""
    for candidate in (text, text.rpartition("~")[2]):
        with contextlib.suppress(InvalidDocument):
            return check_agent_id(candidate, subject="agent", path="")
    quoted = text.replace("'", "''")
    found = list(client.agents(target=f"name = '{quoted}'", limit=20))
    if not found and _AGENT_PREFIX.fullmatch(text):
        found = list(client.agents(target=f"id LIKE '{text}%'", limit=20))
    live = [one for one in found if one["state"] != "retired"] or found
    if not live:
        raise ApiError(404, f"no such agent: {text}", next_step=_near(client, text) or "mig agents lists them")
    holders = [one for one in live if one["name"] == text]
    if len(holders) == 1:
        return str(holders[0]["id"])
    if len(live) > 1:
        ids = ", ".join(one["id"] for one in live)
        raise ApiError(409, f"several agents are called {text}: {ids}", next_step="give the id")
    return str(live[0]["id"])


def _near(client: Lists, text: str) -> str:
    from difflib import get_close_matches  # only for errors

    names = {str(one["name"]).lower(): str(one["name"]) for one in client.agents(limit=NAMES_LOOKED_AT)}
    near = get_close_matches(text.lower(), names, n=1, cutoff=0.6)
    return f"did you mean {names[near[0]]}?" if near else ""
