"""Hypothesis strategies for what agents send: JSON at and beyond the limits of the readers, from hostile hands.

Payloads are raw bytes, so that the readers themselves decide what is acceptable. Long texts do not compress, since a
database may store, index and refuse by compressed size.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from mig_core.domain.command import ANSWERED

if TYPE_CHECKING:
    from mig_core.domain.ids import ActionId, AgentId, CommandId

_ODD = ["", "\\u0000", "\uffff", "\u202e", "😀", "'; --", "%s", "\x7f", "null", "é" * 16]
_REFUSED = ["\x00", "\ud800", "\udfff"]
_NUMBERS = [
    0,
    -1,
    1 << 31,
    -(1 << 31),
    (1 << 31) - 1,
    1 << 53,
    1 << 62,
    (1 << 62) + 1,
    1 << 63,
    1 << 64,
    10**40,
    10**4000,
]
_FLOATS = [0.0, -0.0, 1e-320, 1.7976931348623157e308, 1e16, 0.1]
_TIMES = [
    "2026-11-23T12:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00.123456789Z",
]
_ADDRESSES = [
    "192.0.2.2/24",
    "fe80::1%eth0/64",
    "fe80::1%" + "x" * 90,
    "::ffff:10.1.2.3/96",
    "::ffff:10.1.2.3%1/128",
    "10.1.2.3/033",
    "010.001.002.003",
    "10.1.2.3/٣",
    "::/0",
    "1.2.3.4.5",
    "",
]


def _incompressible(seed: int, size: int, wide: bool) -> str:
    chance = random.Random(seed)  # noqa: S311  the same text for the same seed, nothing secret
    first, last = (0x10000, 0x10FFFF) if wide else (0x21, 0x7E)
    return "".join(chr(chance.randint(first, last)) for _ in range(size))


def texts_up_to(limit: int) -> st.SearchStrategy[str]:
    """Texts of at most about so many characters: mostly such as are accepted, and the longest of them in most bytes."""
    sizes = st.sampled_from([1, limit // 4, limit // 2, limit - 1, limit, limit, limit + 1])
    return st.one_of(
        st.sampled_from(_ODD),
        st.text(max_size=min(limit, 12)),
        st.builds(_incompressible, st.integers(0, 9), sizes, st.booleans()),
        st.sampled_from([*_ODD, *_ODD, *_ODD, *_ODD, *_REFUSED]),
    )


texts = texts_up_to(300)
numbers = st.one_of(st.sampled_from(_NUMBERS), st.integers())
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(_FLOATS), st.floats(allow_nan=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=6,
)
deep = st.integers(1, 38).map(lambda depth: json.loads("[" * depth + "]" * depth))
objects = st.dictionaries(texts, st.one_of(values, values, values, deep), max_size=3)
times = st.sampled_from(_TIMES)
addresses = st.lists(st.one_of(st.sampled_from(_ADDRESSES), texts, scalars), max_size=6)


@st.composite
def _facts(draw: st.DrawFn, agent: AgentId) -> dict[str, Any]:
    environment = draw(objects)
    if draw(st.booleans()):
        environment["addresses"] = draw(addresses)
    return {
        "id": agent,
        "name": draw(texts_up_to(1024)),
        "version": draw(texts_up_to(128)),
        "mode": draw(texts_up_to(32)),
        "pid": draw(st.integers(0, 1 << 31)),
        "started": draw(times),
        "environment": environment,
        "tags": draw(st.dictionaries(texts_up_to(256), texts_up_to(1024), max_size=3)),
        "modules": draw(st.lists(texts_up_to(64), max_size=3)),
        "failures": draw(st.dictionaries(texts_up_to(256), texts_up_to(4000), max_size=3)),
    }


@st.composite
def heartbeat_payloads(draw: st.DrawFn, agent: AgentId) -> bytes:
    """What may be signed as a heartbeat of this agent."""
    return _raw(
        {
            "facts": draw(_facts(agent)),
            "sequence": draw(st.integers(0, (1 << 62) + 1)),
            "sent": draw(times),
            "statistics": draw(st.dictionaries(texts, scalars, max_size=4)),
            "persistent": draw(objects),
            "spool": draw(objects),
        }
    )


@st.composite
def enrolment_payloads(draw: st.DrawFn, agent: AgentId, public_key: bytes) -> bytes:
    """What may be signed as an enrolment of this agent."""
    return _raw(
        {
            "facts": draw(_facts(agent)),
            "publickey": public_key.hex(),
            "relay": draw(st.sampled_from(["https", "amqp"])),
            "secret": draw(texts),
            "sent": draw(times),
        }
    )


@st.composite
def answer_payloads(draw: st.DrawFn, agent: AgentId, command: CommandId, action: ActionId) -> bytes:
    """What may be signed as this agent's answer to this command."""
    return _raw(
        {
            "command": command,
            "action": action,
            "agent": agent,
            "state": draw(st.sampled_from(sorted(ANSWERED))),
            "reason": draw(texts_up_to(4000)),
            "results": draw(st.lists(_results(), max_size=3)),
            "started": draw(times),
            "finished": draw(times),
        }
    )


@st.composite
def _results(draw: st.DrawFn) -> dict[str, Any]:
    skipped = st.fixed_dictionaries(
        {"reason": texts, "count": st.integers(0, 1 << 53), "examples": st.lists(texts, max_size=2)}
    )
    return {
        "foundanything": draw(st.booleans()),
        "success": draw(st.booleans()),
        "elements": draw(st.one_of(values, values, values, deep)),
        "statistics": draw(values),
        "errors": draw(st.lists(texts, max_size=3)),
        "coverage": {
            "complete": draw(st.booleans()),
            "examined": draw(st.dictionaries(texts, numbers, max_size=3)),
            "skipped": draw(st.lists(skipped, max_size=3)),
        },
    }


def _raw(document: dict[str, Any]) -> bytes:
    """As bytes; lone surrogates stay escaped, so that it is the reader who refuses them."""
    return json.dumps(document, ensure_ascii=True).encode("ascii")
