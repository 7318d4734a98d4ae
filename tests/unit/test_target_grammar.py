"""What the language reads, and what it becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.target import MAX_DEPTH, TargetError, parse_target
from mig_core.domain.target.tree import (
    AddressWithin,
    And,
    Answer,
    Answered,
    Column,
    Comparator,
    Comparison,
    Everything,
    FromNow,
    In,
    IsNull,
    JsonText,
    Kind,
    Like,
    Matches,
    Node,
    Not,
    Or,
)
from mig_core.testing.target_strategies import target_texts

NAME = Column("name", Kind.TEXT)
STATUS = Column("status", Kind.TEXT)
PID = Column("pid", Kind.INTEGER)
HEARTBEAT = Column("heartbeat_at", Kind.TIME)
OS = JsonText("environment", ("os",))
ACTION = "0197f9f0-0000-7000-8000-00000000000a"


def equal(operand: Column | JsonText, value: str | int) -> Comparison:
    return Comparison(operand, Comparator.EQUAL, value)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("all", Everything()),
        ("ALL", Everything()),
        ("status='online'", equal(STATUS, "online")),
        ("STATUS = 'online'", equal(STATUS, "online")),
        ("name = 'it''s'", equal(NAME, "it's")),
        ("name <> 'a'", Not(equal(NAME, "a"))),
        ("name != 'a'", Not(equal(NAME, "a"))),
        ("os='linux'", equal(OS, "linux")),
        ("environment->>'os'='linux'", equal(OS, "linux")),
        ("environment.os = 'linux'", equal(OS, "linux")),
        ("environment->'a'->>'b' = 'c'", equal(JsonText("environment", ("a", "b")), "c")),
        ("environment.a.b = 'c'", equal(JsonText("environment", ("a", "b")), "c")),
        ("tags.operator IN ('it','opsec')", In(JsonText("tags", ("operator",)), ("it", "opsec"))),
        ("tags->>'my key' NOT IN ('a')", Not(In(JsonText("tags", ("my key",)), ("a",)))),
        ("tags.my-key = 'a'", equal(JsonText("tags", ("my-key",)), "a")),
        ("name LIKE 'web%'", Like(NAME, "web%", ignore_case=False)),
        ("name not ilike 'web%'", Not(Like(NAME, "web%", ignore_case=True))),
        ("name ~ '^a'", Matches(NAME, "^a", ignore_case=False)),
        ("name ~* '^a'", Matches(NAME, "^a", ignore_case=True)),
        ("name !~ '^a'", Not(Matches(NAME, "^a", ignore_case=False))),
        ("name !~* '^a'", Not(Matches(NAME, "^a", ignore_case=True))),
        ("tags.k IS NULL", IsNull(JsonText("tags", ("k",)))),
        ("tags.k IS NOT NULL", Not(IsNull(JsonText("tags", ("k",))))),
        ("pid = 4711", equal(PID, 4711)),
        ("pid>-1", Comparison(PID, Comparator.GREATER, -1)),
        (
            "pid BETWEEN 1 AND 2",
            And((Comparison(PID, Comparator.GREATER_EQUAL, 1), Comparison(PID, Comparator.LESS_EQUAL, 2))),
        ),
        ("address <<= '10.1.2.3/8'", AddressWithin(("10.0.0.0/8",))),
        ("address = '10.1.2.3'", AddressWithin(("10.1.2.3/32",))),
        ("addresses NOT IN ('fe80::/10', '::1')", Not(AddressWithin(("fe80::/10", "::1/128")))),
        ("address = '::FFFF:a01:203'", AddressWithin(("::ffff:10.1.2.3/128",))),
        ("::ffff:10.1.2.0/120", AddressWithin(("::ffff:10.1.2.0/120",))),
        (f"found('{ACTION.upper()}')", Answered(Answer.FOUND, ACTION)),
        (f"NotFound({ACTION})", Answered(Answer.NOTFOUND, ACTION)),
        (f"noanswer ( '{ACTION}' )", Answered(Answer.NOANSWER, ACTION)),
        ("(((name='a')))", equal(NAME, "a")),
        ("  name\t=\n'a' ", equal(NAME, "a")),
    ],
)
def test_an_expression_reads_as_its_tree(text: str, tree: Node) -> None:
    assert parse_target(text).tree == tree


def test_not_binds_before_and_and_and_before_or() -> None:
    a, b, c = equal(NAME, "a"), equal(NAME, "b"), equal(NAME, "c")

    tree = parse_target("name='a' OR NOT name='b' AND name='c'").tree

    assert tree == Or((a, And((Not(b), c))))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'2026-11-23'", datetime(2026, 11, 23, tzinfo=UTC)),
        ("'2026-11-23 03:00'", datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ("'2026-11-23T03:00:01.5Z'", datetime(2026, 11, 23, 3, 0, 1, 500000, tzinfo=UTC)),
        ("'2026-11-23 03:00:00 +02:00'", datetime(2026, 11, 23, 1, tzinfo=UTC)),
        ("'2026-11-23 03:00-05'", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("NOW()", FromNow(timedelta())),
        ("now() - interval '1 minute'", FromNow(timedelta(minutes=-1))),
        ("NOW()-INTERVAL '1 hour 30 minutes'", FromNow(timedelta(minutes=-90))),
        ("NOW() + '2 weeks'", FromNow(timedelta(days=14))),
        ("NOW() - interval '7d'", FromNow(timedelta(days=-7))),
    ],
)
def test_a_time_can_be_written_in_several_ways(text: str, value: datetime | FromNow) -> None:
    for column in ("heartbeattime", "heartbeat_at"):
        assert parse_target(f"{column} > {text}").tree == Comparison(HEARTBEAT, Comparator.GREATER, value)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("web*", "name LIKE 'web%'"),
        ("web-?.example.com", "name LIKE 'web-_.example.com'"),
        ("db_1*", "name LIKE 'db\\_1%'"),
        ("web1", "name = 'web1'"),
        ("123", "name = '123'"),
        (ACTION, f"name = '{ACTION}'"),
        ("10.0.0.0/8", "address <<= '10.0.0.0/8'"),
        ("192.0.2.7", "address <<= '192.0.2.7/32'"),
        ("fe80::/10", "address <<= 'fe80::/10'"),
        ("web* OR os='linux' AND db*", "name LIKE 'web%' OR os='linux' AND name LIKE 'db%'"),
        ("servers", "(name LIKE 'web%')"),
        ("NOT servers AND (linux)", "NOT (name LIKE 'web%') AND ((os = 'linux' OR (name LIKE 'web%')))"),
    ],
)
def test_names_and_macros_are_written_out_for_agents_that_do_not_know_them(text: str, expanded: str) -> None:
    macros = {"servers": "web*", "linux": "os = 'linux' OR servers"}

    target = parse_target(text, macros=macros)

    assert target.text == text
    assert target.expanded == expanded
    assert parse_target(target.expanded).tree == target.tree


@given(target_texts)
def test_what_was_written_out_reads_as_the_same_tree(text: str) -> None:
    target = parse_target(text)

    assert parse_target(target.expanded).tree == target.tree


@given(st.one_of(st.text(), st.text("()'*?%=<>!~-.,aN01 \n\"\\[]{}+|^$"), target_texts.map(lambda text: text[1:])))
def test_whatever_the_text_nothing_but_a_target_error_is_raised(text: str) -> None:
    for whole in (text, f"name ~ '{text}'", f"name LIKE '{text}'", f"os = 'a' AND {text}"):
        try:
            parse_target(whole, macros={"a": "b", "b": "a"})
        except TargetError as error:
            assert 0 <= error.position <= len(whole)
            assert error.problem
            assert error.next_step
            assert error.diagnostics().problem


def test_nesting_up_to_the_limit_is_read() -> None:
    text = "(" * MAX_DEPTH + "name='a'" + ")" * MAX_DEPTH

    assert parse_target(text).tree == equal(NAME, "a")
