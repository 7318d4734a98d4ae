"""What agents send: answers, module results, heartbeats, enrolments."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.agent import AgentFacts, Enrolment, Heartbeat, read_enrolment, read_heartbeat
from mig_core.domain.command import ANSWERED, ActionState, CommandState
from mig_core.domain.ids import ActionId, CommandId, agent_id
from mig_core.domain.result import Answer, Coverage, ModuleResult, Skipped, read_answer
from mig_core.errors import InvalidDocument

KEY = bytes(range(32))
NOW = datetime(2026, 11, 23, 3, 0, 0, 250, tzinfo=UTC)
UUID = "0197f9f0-1111-7222-8333-444455556666"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
RESULTS = st.builds(
    ModuleResult,
    found=st.booleans(),
    success=st.booleans(),
    elements=JSON,
    statistics=JSON,
    errors=st.lists(TEXT, max_size=3).map(tuple),
    coverage=st.builds(
        Coverage,
        complete=st.booleans(),
        examined=st.dictionaries(TEXT, st.integers(0), max_size=3),
        skipped=st.lists(
            st.builds(Skipped, TEXT, st.integers(0, 1 << 53), st.lists(TEXT, max_size=2).map(tuple)), max_size=2
        ).map(tuple),
    ),
)
ANSWERS = st.builds(
    Answer,
    command=st.just(CommandId(UUID)),
    action=st.just(ActionId(UUID)),
    agent=st.just(agent_id(KEY)),
    state=st.sampled_from(sorted(ANSWERED)),
    reason=TEXT,
    results=st.lists(RESULTS, max_size=3).map(tuple),
    started=st.just(NOW),
    finished=st.just(NOW),
)
FACTS = AgentFacts(
    agent_id(KEY), "web1", "0.1.0", "service", 7, NOW, {"os": "linux"}, {"operator": "it"}, ("file",), {"pkg": "broken"}
)
PLAIN = Answer(
    CommandId(UUID), ActionId(UUID), agent_id(KEY), CommandState.SUCCESS, "", (ModuleResult(True, True),), NOW, NOW
)


def changed(raw: bytes, **changes: Any) -> bytes:
    document = json.loads(raw) | changes
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


@given(ANSWERS)
def test_an_answer_is_read_back_the_same(answer: Answer) -> None:
    assert read_answer(answer.to_payload()) == answer


@given(st.binary(max_size=200))
def test_reading_any_bytes_gives_an_invalid_document(raw: bytes) -> None:
    for read in (read_answer, read_heartbeat, read_enrolment):
        with pytest.raises(InvalidDocument):
            read(raw)


@given(
    st.sampled_from(sorted(json.loads(PLAIN.to_payload()))),
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([{}]) | st.just({"a": 1}),
)
def test_any_value_in_any_place_of_an_answer_gives_an_answer_or_an_invalid_document(key: str, value: object) -> None:
    try:
        read_answer(changed(PLAIN.to_payload(), **{key: value}))
    except InvalidDocument as error:
        assert error.path.startswith(key)


@pytest.mark.parametrize("state", ["expired", "queued", "sent", "", "SUCCESS"])
def test_an_agent_may_not_report_a_state_that_belongs_to_the_platform(state: str) -> None:
    with pytest.raises(InvalidDocument, match="state: must be one of"):
        read_answer(changed(PLAIN.to_payload(), state=state))


def test_a_result_has_the_originals_five_keys_and_coverage() -> None:
    assert ModuleResult(False, True).to_json() == {
        "foundanything": False,
        "success": True,
        "elements": None,
        "statistics": None,
        "errors": None,
        "coverage": {"complete": True, "examined": {}, "skipped": []},
    }


@pytest.mark.parametrize("coverage", [..., None])
def test_a_result_without_coverage_counts_as_complete(coverage: object) -> None:
    plain = PLAIN.results[0].to_json() | {"coverage": coverage}
    result = {key: value for key, value in plain.items() if value is not ...}

    answer = read_answer(changed(PLAIN.to_payload(), results=[result]))

    assert answer.results[0].coverage == Coverage()


def test_an_answer_is_complete_only_when_it_succeeded_and_skipped_nothing() -> None:
    cut_short = ModuleResult(False, True, coverage=Coverage(complete=False))
    timed_out = Answer(PLAIN.command, PLAIN.action, PLAIN.agent, CommandState.TIMEOUT, "5s", PLAIN.results, NOW, NOW)
    partial = Answer(PLAIN.command, PLAIN.action, PLAIN.agent, CommandState.SUCCESS, "", (cut_short,), NOW, NOW)

    assert PLAIN.complete and PLAIN.found
    assert not partial.complete and not partial.found
    assert not timed_out.complete and timed_out.found


def test_a_failure_found_nothing_and_is_not_complete() -> None:
    failure = ModuleResult.failure("no such path")

    assert not failure.success and not failure.found and not failure.coverage.complete
    assert failure.errors == ("no such path",)


def test_every_command_state_but_two_is_final_and_agents_report_all_final_ones_but_expired() -> None:
    final = {state for state in CommandState if state.is_final}

    assert set(CommandState) - final == {CommandState.QUEUED, CommandState.SENT}
    assert final - ANSWERED == {CommandState.EXPIRED}
    assert {state for state in ActionState if not state.is_final} == {
        ActionState.PENDING,
        ActionState.SCHEDULED,
        ActionState.INFLIGHT,
    }


def test_a_heartbeat_and_an_enrolment_are_read_back_the_same() -> None:
    heartbeat = Heartbeat(FACTS, 12, NOW, {"commands": 3})
    enrolment = Enrolment(FACTS, KEY, "https", "s3cret", NOW)

    assert read_heartbeat(heartbeat.to_payload()) == heartbeat
    assert read_enrolment(enrolment.to_payload()) == enrolment


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"publickey": "zz"}, "publickey"),
        ({"publickey": "00" * 31}, "publickey"),
        ({"publickey": "00" * 32}, "facts.id"),
        ({"relay": "smtp"}, "relay"),
        ({"facts": FACTS.to_json() | {"name": "\x00"}}, "facts.name"),
        ({"facts": FACTS.to_json() | {"tags": {"a": 1}}}, "facts.tags.a"),
        ({"facts": FACTS.to_json() | {"pid": 1 << 31}}, "facts.pid"),
        ({"facts": FACTS.to_json() | {"root": True}}, "facts.root"),
        ({"more": 1}, "more"),
    ],
)
def test_an_enrolment_that_is_not_right_is_refused_with_the_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidDocument) as error:
        read_enrolment(changed(Enrolment(FACTS, KEY, "amqp", "", NOW).to_payload(), **changes))

    assert error.value.path == path
