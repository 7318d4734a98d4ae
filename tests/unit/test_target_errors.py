"""What the language refuses: where the fault is, and what to write instead."""

from __future__ import annotations

import sys
import time

import pytest

from mig_core.domain.target import MAX_LIST, MAX_NODES, MAX_TEXT, TargetError, parse_target


def refused(text: str, **macros: str) -> TargetError:
    with pytest.raises(TargetError) as caught:
        parse_target(text, macros=macros)
    return caught.value


@pytest.mark.parametrize(
    ("text", "position", "problem", "next_step"),
    [
        ("", 0, "empty", "all"),
        ("   ", 3, "empty", "all"),
        ("stauts = 'online'", 0, "unknown name stauts", "did you mean status?"),
        ("tag.k = 'x'", 0, "unknown name tag.k", "did you mean tags?"),
        ("a.name = 'x'", 0, "unknown name", "did you mean name?"),
        ("queueloc = 'x'", 0, "no queueloc", "id"),
        ("status = 'onlin'", 9, "no agent has the status 'onlin'", "did you mean online?"),
        ("status IN ('online', 'destroyed')", 21, "'destroyed'", "retired"),
        ("os = linux", 5, "single quotes, found linux", "'linux'"),
        ("os =", 4, "expected a value", "double quotes"),
        ("os", 2, "expected an operator, found the end", "LIKE"),
        ("os 'linux'", 3, "expected an operator", "="),
        ('os = "linux"', 5, "double quote", "single quotes"),
        ("os = \u2018linux\u2019", 5, "typographic", "straight"),
        ("os == 'linux'", 3, "== is not", "single ="),
        ("os='a' && os='b'", 7, "& is not", "AND"),
        ("os='a' || os='b'", 7, "| is not", "OR"),
        ("!os='a'", 0, "! is not", "NOT"),
        ("os='a'; x", 6, "not statements", "semicolon"),
        ("os='a' -- x", 7, "comments", "take"),
        ("os='a' /* x */", 7, "comments", "take"),
        ("os::text='a'", 2, "casts", "fixed types"),
        ("os = 'linux", 5, "no closing quote", "''"),
        ("os = 'it's'", 10, "no closing quote", "''"),
        ("'online' = status", 0, "expected a test", "left"),
        ("os = 5", 5, "compared as text", "'5'"),
        ("pid = '5'", 6, "whole number", "without quotes"),
        ("pid = 5.5", 6, "whole number", "without quotes"),
        ("pid = 99999999999999999999", 6, "out of range", "9223372036854775807"),
        ("pid LIKE '1%'", 4, "for texts", "BETWEEN"),
        ("heartbeat_at > 5", 15, "expected a time", "NOW()"),
        ("heartbeat_at > 'yesterday'", 15, "expected a time", "NOW()"),
        ("heartbeat_at > '2026-02-30'", 15, "expected a time", "NOW()"),
        ("heartbeat_at > '0001-01-01T00:00+14:00'", 15, "expected a time", "NOW()"),
        ("heartbeat_at > NOW() - interval '1 month'", 32, "expected an interval", "weeks"),
        ("heartbeat_at > NOW() - interval '999999999999 weeks'", 32, "expected an interval", "100 years"),
        ("heartbeat_at > NOW", 18, "()", "NOW()"),
        ("name = NULL", 7, "NULL", "IS NULL"),
        ("name IS 'x'", 8, "expected NULL", "="),
        ("name IN 'x'", 8, "list in parentheses", "IN ("),
        ("name IN ()", 9, "text in single quotes", "'"),
        ("name IN ('a' 'b')", 13, "expected , or )", "IN ("),
        ("name BETWEEN 'a' OR 'b'", 17, "expected AND", "BETWEEN"),
        ("name NOT 'a'", 9, "after NOT", "NOT (...)"),
        ("name LIKE web", 10, "pattern in single quotes", "quotes"),
        ("name LIKE 'a\\'", 10, "lone backslash", "\\\\"),
        ("environment = 'x'", 0, "needs a key", "->>"),
        ("environment->'os' = 'x'", 18, "JSON", "->>"),
        ("environment->>os = 'x'", 14, "single quotes", "->>"),
        ("environment.a*b = 'x'", 0, "not a key", "quotes"),
        ("tags.a.b = 'x'", 0, "no keys within", "tags->>"),
        ("address = '10.0.0.0/8'", 10, "a network, not one address", "<<="),
        ("address <<= '10.0.0.0/33'", 12, "expected an address or network", "10.0.0.0/8"),
        ("address <<= 'fe80::1%eth0'", 12, "expected an address or network", "10.0.0.0/8"),
        ("address <> '10.0.0.1'", 8, "after address", "NOT address"),
        ("name <<= '10.0.0.0/8'", 5, "for addresses", "address"),
        ("found(12345)", 6, "needs the id of an action", "mig actions"),
        ("found('x')", 6, "needs the id of an action", "mig actions"),
        ("local", 0, "local", "mig MODULE -t local"),
        ("os='a' AND local", 11, "local", "mig MODULE -t local"),
        ("os='a' os='b'", 7, "expected AND, OR or the end", "join"),
        ("(os='a'", 7, "expected AND, OR or )", "position 0"),
        ("os='a')", 6, "closes nothing", "join"),
        ("os='a' AND", 10, "expected a test", "name LIKE"),
        ("SELECT 1", 0, "expected a test", "found('ACTION-ID')"),
        ("name = 'a\x00b'", 9, "U+0000", "take it out"),
        ("name = '\ud800'", 8, "U+D800", "take it out"),
        ("näme = 'a'", 1, "unexpected character", "quotes"),
        ("web1 OR db1", 0, "unknown name web1", "known: "),
    ],
)
def test_a_refusal_names_the_place_and_the_next_step(text: str, position: int, problem: str, next_step: str) -> None:
    error = refused(text)

    assert (error.position, error.text) == (position, text)
    assert problem in error.problem
    assert next_step in error.next_step


@pytest.mark.parametrize(
    ("pattern", "position", "problem"),
    [
        ("a(b", 9, "not closed"),
        ("a)b", 9, "closes nothing"),
        ("[a", 8, "not closed"),
        ("[b-a]", 10, "wrong way round"),
        ("a**", 10, "cannot be repeated"),
        ("^*", 8, "anchor"),
        ("*a", 8, "repeats nothing"),
        ("a{", 9, "{2,5}"),
        ("a{3,2}", 9, "smaller to a larger"),
        ("a{256}", 9, "255"),
        ("(?=a)", 8, "only (?:"),
        (r"(a)\1", 11, "not supported"),
        (r"\bweb", 8, "not supported"),
        ("[[:letter:]]", 9, "no such class"),
        ("a\\", 9, "escapes nothing"),
        ("''''(", 12, "not closed"),
        (r"\x00", 8, "no text holds"),
        ("(a{200}){200}", 8, "written out"),
        ("(?:^|a|$){0,60}", 8, "more than 8 of ^ and $"),
        ("(?:^|a)" * 9, 8, "more than 8 of ^ and $"),
        ("(" * 21 + ")" * 21, 28, "nested deeper"),
    ],
)
def test_a_regular_expression_outside_the_subset_is_refused_where_it_leaves_it(
    pattern: str, position: int, problem: str
) -> None:
    error = refused(f"name ~ '{pattern}'")

    assert error.position == position
    assert problem in error.problem


@pytest.mark.parametrize(
    "text",
    [
        "a'); RESET ROLE; UPDATE investigators SET permissions=127; COMMIT; SELECT * FROM agents WHERE (id='x",
        "true); DROP TABLE agents; --",
        "1=1",
        "id IN (SELECT agentid FROM commands)",
        "name='x' UNION SELECT * FROM investigators",
        "pg_sleep(10)",
        "name = (SELECT 'x')",
        "name = 'x' || pg_read_file('/etc/passwd')",
        "name = E'\\''; --'",
        "name = $$x$$",
        "name = 'a' OR TRUE",
        "current_setting('is_superuser') = 'on'",
        "tags->>'k' = 'x'::text",
        "a.\"name\" = 'x'",
    ],
)
def test_sql_that_is_no_target_is_refused(text: str) -> None:
    assert refused(text).next_step


def test_every_limit_is_refused_at_once() -> None:
    started = time.process_time()

    too_long = refused("name = '" + "a" * 100_000 + "'")
    spaces = refused(" " * 100_000)
    parentheses = refused("(" * 8000)
    deep_in_macros = refused("m", m="(" * 40 + "n" + ")" * 40, n="(" * 40 + "all" + ")" * 40)
    negations = refused("NOT " * 2000)
    nodes = refused(" OR ".join(["all"] * 600))
    values = refused("pid IN (" + ",".join(["1"] * 600) + ")")
    quotes = refused("name = " + "'" * 7999)
    dashes = refused("name ~ '" + "[a-" * 300 + "'")

    assert too_long.position == spaces.position == MAX_TEXT
    assert "nested deeper" in parentheses.problem
    assert "nested deeper" in deep_in_macros.problem
    assert "nested deeper" in negations.problem
    assert str(MAX_NODES) in nodes.problem
    assert str(MAX_LIST) in values.problem
    assert quotes.problem
    assert dashes.problem
    assert time.process_time() - started < 2


def test_deep_nesting_needs_little_of_the_stack() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    try:
        refused("(" * 8000)
        parse_target("NOT (" * 25 + "name ~ '" + "(" * 20 + ")" * 20 + "'" + ")" * 25)
    finally:
        sys.setrecursionlimit(limit)


def test_macros_that_name_themselves_or_multiply_are_refused() -> None:
    itself = refused("a AND all", a="b", b="NOT a")
    doubling = {f"m{i}": f"m{i + 1} OR m{i + 1}" for i in range(30)} | {"m30": "all"}
    multiplied = refused("m0", **doubling)

    assert itself.position == 0
    assert "in macro a: in macro b: macro a names itself" in itself.problem
    assert str(MAX_NODES) in multiplied.problem


def test_a_fault_inside_a_macro_is_shown_at_the_macro() -> None:
    error = refused("os = 'linux' AND servers", servers="nam = 'x'")

    assert error.position == 17
    assert "in macro servers: unknown name nam at position 0 of the macro" in error.problem
    assert error.next_step == "did you mean name?"
    assert str(error.diagnostics()).splitlines()[2].index("^") == 4 + 17


def test_a_mistyped_macro_is_suggested() -> None:
    error = refused("NOT server", servers="web*")

    assert error.next_step == "did you mean servers?"
