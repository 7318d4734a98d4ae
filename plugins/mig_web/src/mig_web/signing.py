"""What a person sees before signing: out of the very bytes that get signed, and who would be asked.

Used wherever something is signed: a new question, an action that waits, a proposal.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mig_core.domain.action import read_action
from mig_core.domain.times import parse_time

if TYPE_CHECKING:
    from mig_core.client.client import MigClient
    from mig_core.domain.envelope import Envelope
    from mig_web.site import Site

SHOWN_AGENTS = 20
LOOKED_BACK = 50
"""Questions among which the last one like this is looked for."""
SAMPLE = 200
"""Answers of it that are looked at."""


@dataclass(frozen=True, slots=True)
class SigningView:
    """For the template ``signing.html``."""

    readable: str
    """The document that is signed, indented; whatever is not ASCII is escaped."""
    exact: str
    """Its bytes as they are, as text."""
    digest: str
    """SHA-256 of the bytes that are signed."""
    size: int
    target: str
    count: int
    """Agents that would be asked now."""
    agents: list[dict[str, Any]]
    weights: list[str]
    cost: str


async def signing_view(site: Site, envelope: Envelope) -> SigningView:
    """Shows an envelope whose payload is an action, before it is signed.

    Raises:
        InvalidDocument: the payload is no action.
        ApiError: the platform does not say who would be asked.
    """
    action = read_action(envelope.payload)
    modules = [one.module for one in action.operations]
    fingerprint = site.connection.settings.fingerprint
    evaluated, weights, before = await asyncio.gather(
        site.call(site.client.evaluate, action.target, SHOWN_AGENTS),
        site.call(site.client.weights, envelope, fingerprint),
        site.call(earlier_like, site.client, modules),
    )
    sent = len(envelope.payload) * evaluated["count"]
    return SigningView(
        readable=json.dumps(json.loads(envelope.payload), indent=2, ensure_ascii=True),
        exact=envelope.payload.decode("utf-8"),
        digest=hashlib.sha256(envelope.signed_bytes()).hexdigest(),
        size=len(envelope.payload),
        target=action.target,
        count=evaluated["count"],
        agents=evaluated["agents"],
        weights=weights,
        cost=f"The question is {_bytes(len(envelope.payload))}, {_bytes(sent)} to all. {before}",
    )


def earlier_like(client: MigClient, modules: list[str]) -> str:
    """What the last question to the same modules took, in a sentence. Waits for the platform."""
    for one in client.actions(states=["completed"], limit=LOOKED_BACK):
        if [operation["module"] for operation in one["operations"]] != modules or not one["targeted"]:
            continue
        commands = itertools.islice(client.commands(one["id"], states=["success"], limit=SAMPLE), SAMPLE)
        taken = sorted(
            (parse_time(each["finished"]) - parse_time(each["sent"])).total_seconds()
            for each in commands
            if each["finished"] and each["sent"]
        )
        if not taken:
            continue
        middle, slow = taken[len(taken) // 2], taken[len(taken) * 9 // 10]
        answered = one["counts"].get("success", 0)
        return (
            f"The last question to {', '.join(modules)} ({one['id'][:13]}) was answered by {answered} of"
            f" {one['targeted']} agents; of {len(taken)}, half took up to {middle:.1f} s and nine of ten up to"
            f" {slow:.1f} s."
        )
    return f"No question to {', '.join(modules)} among the last {LOOKED_BACK} to tell how long answers take."


def _bytes(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
