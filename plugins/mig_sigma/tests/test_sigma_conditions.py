"""What Sigma's words mean: rules in YAML, compiled with pySigma, over fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_sigma.conditions import Facts, compiled
from mig_sigma.expressions import from_glob, searcher
from mig_sigma.rule import Test as Single

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_sigma.rule import Rule

LINE = "CommandLine"
CASES: list[tuple[str, dict[str, Any], bool]] = [
    # plain values: whole, in any case
    ("CommandLine: Abc", {LINE: "aBC"}, True),
    ("CommandLine: abc", {LINE: "abcd"}, False),
    ("CommandLine: [one, two]", {LINE: "two"}, True),
    ("CommandLine: ''", {LINE: ""}, True),
    ("CommandLine: ''", {}, False),
    ("ProcessId: 7", {"ProcessId": "7"}, True),
    ("ProcessId: 7", {"ProcessId": "77"}, False),
    # modifiers
    ("CommandLine|contains: 'B C'", {LINE: "a b c d"}, True),
    ("CommandLine|startswith: '/TMP/'", {LINE: "/tmp/x"}, True),
    ("CommandLine|startswith: '/tmp/'", {LINE: "x/tmp/"}, False),
    ("CommandLine|endswith: [sh, '/nc']", {LINE: "/bin/nc"}, True),
    ("CommandLine|contains|all: [a, b]", {LINE: "xaxbx"}, True),
    ("CommandLine|contains|all: [a, b]", {LINE: "xax"}, False),
    ("CommandLine|re: '^a+b$'", {LINE: "aaab"}, True),
    ("CommandLine|re: '^a+b$'", {LINE: "AAAB"}, False),
    ("CommandLine|re|i: '^a+b$'", {LINE: "AAAB"}, True),
    ("CommandLine|re: 'b+'", {LINE: "abc"}, True),
    ("CurrentDirectory|cidr: '10.0.0.0/8'", {"CurrentDirectory": "10.2.3.4"}, True),
    ("CurrentDirectory|cidr: '10.0.0.0/8'", {"CurrentDirectory": "11.2.3.4"}, False),
    ("CurrentDirectory|cidr: 'fe80::/10'", {"CurrentDirectory": "fe80::1"}, True),
    ("CurrentDirectory|cidr: '10.0.0.0/8'", {"CurrentDirectory": "no address"}, False),
    ("CommandLine|cased: Abc", {LINE: "Abc"}, True),
    ("CommandLine|cased: Abc", {LINE: "abc"}, False),
    ("CommandLine|contains|cased: Abc", {LINE: "xabcx"}, False),
    ("CommandLine|exists: true", {LINE: ""}, True),
    ("CommandLine|exists: true", {}, False),
    ("CommandLine|exists: false", {}, True),
    ("Image|fieldref: ParentImage", {"Image": "/A", "ParentImage": "/a"}, True),
    ("Image|fieldref: ParentImage", {"Image": "/a"}, False),
    ("Image|fieldref|endswith: User", {"Image": "/home/alice", "User": "alice"}, True),
    ("ProcessId|gt: 5", {"ProcessId": "6"}, True),
    ("ProcessId|gt: 5", {"ProcessId": "5"}, False),
    ("ProcessId|gte: 5", {"ProcessId": "5"}, True),
    ("ProcessId|lt: 5", {"ProcessId": "4"}, True),
    ("ProcessId|lte: 5", {"ProcessId": "6"}, False),
    ("ProcessId|lt: 5", {"ProcessId": "none"}, False),
    ("CommandLine|base64: whoami", {LINE: "d2hvYW1p"}, True),
    ("CommandLine|base64offset|contains: /bin/bash", {LINE: "echo L2Jpbi9iYXNo"}, True),
    ("CommandLine|base64offset|contains: /bin/bash", {LINE: "eC9iaW4vYmFzaA=="}, True),
    ("CommandLine|windash|contains: ' -f '", {LINE: "x /f y"}, True),
    ("CommandLine|windash|contains: ' -f '", {LINE: "x f y"}, False),
    ("CommandLine: null", {}, True),
    ("CommandLine: null", {LINE: ""}, True),
    ("CommandLine: null", {LINE: "x"}, False),
    # wildcards and escapes
    ("CommandLine: '*'", {LINE: "anything"}, True),
    ("CommandLine: '*'", {}, False),
    ("CommandLine: 'a*c'", {LINE: "abbc"}, True),
    ("CommandLine: 'a?c'", {LINE: "abc"}, True),
    ("CommandLine: 'a?c'", {LINE: "ac"}, False),
    ("CommandLine: 'a*c'", {LINE: "a\nb\nc"}, True),
    ("CommandLine: 'a*c'", {LINE: "abcd"}, False),
    (r"CommandLine: 'a\*c'", {LINE: "a*c"}, True),
    (r"CommandLine: 'a\*c'", {LINE: "abc"}, False),
    (r"CommandLine|contains: '\\\\x*y'", {LINE: r"\\x1y"}, True),
    (r"CommandLine|contains: 'a\b'", {LINE: r"xa\bx"}, True),
    ("CommandLine|contains: 'a.c+'", {LINE: "a.c+"}, True),
    ("CommandLine: 'a.*'", {LINE: "abc"}, False),
    # a field with several values
    ("User|contains: b", {"User": ("a", "b")}, True),
]


@pytest.mark.parametrize(("item", "fields", "matches"), CASES)
def test_one_test_means_what_sigma_says(
    item: str, fields: dict[str, Any], matches: bool, rule: Callable[..., Rule]
) -> None:
    made = rule(f"    selection:\n        {item}\n    condition: selection\n")

    assert compiled(made.condition)(Facts(fields)) is matches


SELECTIONS = """    selection_a:
        CommandLine|contains: a
    selection_b:
        CommandLine|contains: b
    filter:
        Image: /bin/c
    both:
        CommandLine|contains: a
        Image: /bin/c
    listed:
        - CommandLine|contains: b
        - Image: /bin/c
"""
CONDITIONS = [
    ("selection_a and selection_b", "ab", "", True),
    ("selection_a and selection_b", "a", "", False),
    ("selection_a or selection_b", "b", "", True),
    ("1 of selection_*", "b", "", True),
    ("1 of selection_*", "x", "", False),
    ("all of selection_*", "ab", "", True),
    ("all of selection_*", "b", "", False),
    ("1 of them", "x", "/bin/c", True),
    ("all of them", "ab", "/bin/c", True),
    ("all of them", "ab", "/bin/d", False),
    ("selection_a and not filter", "a", "/bin/d", True),
    ("selection_a and not filter", "a", "/bin/c", False),
    ("not (selection_a or selection_b)", "x", "", True),
    ("selection_a and not (selection_b or filter)", "ab", "", False),
    ("selection_a or selection_b and filter", "a", "", True),
    ("not 1 of selection_*", "a", "", False),
    ("both", "a", "/bin/c", True),
    ("both", "a", "/bin/d", False),
    ("listed", "x", "/bin/c", True),
    ("listed", "x", "/bin/d", False),
]


@pytest.mark.parametrize(("condition", "line", "image", "matches"), CONDITIONS)
def test_conditions_combine_as_sigma_says(
    condition: str, line: str, image: str, matches: bool, rule: Callable[..., Rule]
) -> None:
    made = rule(f"{SELECTIONS}    condition: {condition}\n")

    assert compiled(made.condition)(Facts({"CommandLine": line, "Image": image})) is matches


@pytest.mark.parametrize(
    ("keywords", "texts", "matches"),
    [
        ("- one\n        - two", ("x TWO x",), True),
        ("- one\n        - two", ("x", "y"), False),
        ("- 'rm *history'", ("run rm -f .bash_history now",), True),
        ("'|all':\n            - grep\n            - password", ("grep -r password /etc",), True),
        ("'|all':\n            - grep\n            - password", ("grep -r", "x"), False),
    ],
)
def test_keywords_are_found_anywhere(
    keywords: str, texts: tuple[str, ...], matches: bool, rule: Callable[..., Rule]
) -> None:
    made = rule(f"    keywords:\n        {keywords}\n    condition: keywords\n", "service: auditd")

    assert compiled(made.condition)(Facts({}, texts)) is matches


@given(st.text(max_size=20), st.text(max_size=40))
def test_a_text_with_wildcards_matches_itself_and_is_total(glob: str, value: str) -> None:
    plain = "".join(f"\\{one}" if one in "*?\\" else one for one in value)

    assert searcher(from_glob(plain))(value)
    assert searcher(from_glob("*" + plain + "*"))("x" + value + "y")
    searcher(from_glob(glob))(value)


def test_an_expression_that_is_not_linear_is_refused() -> None:
    for pattern in (r"(a)\1", "(?=a)b", "(?<!a)b", "("):
        with pytest.raises(ValueError, match="RE2"):
            compiled(Single("Image", "re", (pattern,)))


def test_an_expression_takes_linear_time_on_a_hostile_text() -> None:
    check = compiled(Single("CommandLine", "re", (r"(a+)+$",)))

    assert not check(Facts({"CommandLine": "a" * 100_000 + "b"}))
