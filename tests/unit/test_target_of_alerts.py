"""The language of targets, asked of alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.target import MAX_TEXT, TargetError, holds, parse_condition

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ALERT: dict[str, object] = {
    "module": "audit",
    "event": {"type": "SYSCALL", "keys": ["passwd"], "process": {"pid": 7, "exe": "/bin/sh"}, "odd name": None},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", True),
        ("module = 'audit' AND event.type IN ('SYSCALL', 'AVC')", True),
        ("MODULE ILIKE 'AUD%'", True),
        ("event.process.pid = '7' AND event->'process'->>'exe' ~ '^/bin/'", True),
        ("event.keys = '[\"passwd\"]'", True),
        ("event->>'odd name' IS NULL AND event.process.exe.deeper IS NULL", True),
        ("event.user <> 'root'", False),
        ("NOT event.user = 'root'", False),
        ("event.user <> 'root' OR event.user IS NULL", True),
    ],
)
def test_a_condition_is_about_module_and_event(text: str, wanted: bool) -> None:
    assert holds(parse_condition(text), ALERT, now=NOW) is wanted


@pytest.mark.parametrize(
    "text", ["", "audit", "web*", "10.0.0.0/8", "name = 'x'", "tags.a = 'b'", "address = '::1'", "found('x')", "local"]
)
def test_what_only_agents_have_is_refused(text: str) -> None:
    with pytest.raises(TargetError):
        parse_condition(text)


@given(text=st.text(max_size=60), event=st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)))
def test_any_text_is_a_condition_or_an_error_and_any_event_has_an_answer(text: str, event: JSON) -> None:
    try:
        condition = parse_condition(text)
    except TargetError:
        condition = parse_condition("event.a = 'b'")

    assert holds(condition, {"module": "m", "event": event}, now=NOW) in (True, False)


def test_a_condition_is_as_bounded_as_a_target() -> None:
    with pytest.raises(TargetError, match="at most"):
        parse_condition("a" * (MAX_TEXT + 1))
    with pytest.raises(TargetError, match="deeper"):
        parse_condition("(" * 100 + "all")
