"""From YAML to the compiled form and back; what cannot be evaluated is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.document import dump
from mig_core.errors import InvalidDocument
from mig_sigma.compiling import Compiled, compile_text
from mig_sigma.loading import builtin_rules, find
from mig_sigma.matcher import RuleSet
from mig_sigma.rule import document, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_sigma.rule import Rule

OURS = Path(__file__).parents[1] / "rules"


def left_out(text: str) -> str:
    made = Compiled()
    compile_text(text, "rule.yml", made)
    assert made.rules == []
    return "".join(made.left_out.values())


@pytest.mark.parametrize(
    ("source", "detection", "why"),
    [
        ("category: process_creation", "Image|expand: '%tools%'", "placeholder"),
        ("category: process_creation", "Hashes: x", "asks for Hashes"),
        ("category: network_connection", "DestinationHostname: x", "asks for DestinationHostname"),
        ("service: sshd", "a: x", "the log of sshd, which is not watched here"),
        ("category: dns_query", "QueryName: x", "the category dns_query"),
        ("category: process_creation", r"Image|re: '(a)\1'", "Regular expression"),
        ("definition: none", "Image: x", "no category or service"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_named_with_the_reason(source: str, detection: str, why: str) -> None:
    text = (
        f"title: x\nlogsource:\n    product: linux\n    {source}\n"
        f"detection:\n    a:\n        {detection}\n    condition: a\n"
    )

    assert why in left_out(text)


def test_a_rule_for_another_system_and_what_is_no_rule_are_named() -> None:
    assert "product windows" in left_out(
        "title: x\nlogsource:\n    product: windows\n    category: process_creation\n"
        "detection:\n    a:\n        Image: x\n    condition: a\n"
    )
    assert left_out("title: [")
    assert left_out("just a text")
    assert left_out("") is not None


def test_our_rules_are_ten_and_what_is_shipped_is_what_they_compile_to() -> None:
    found = find([str(OURS)], builtin=False)

    assert found.problems == {}
    assert len(found.rules) == 10
    shipped = {one.id: one for one in builtin_rules()}
    assert shipped == {identifier: rule for identifier, (rule, _origin) in found.rules.items()}
    assert RuleSet(list(shipped.values())).unusable == {}


def test_the_compiled_form_is_read_as_it_was_written(rule: Callable[..., Rule]) -> None:
    made = rule("    a:\n        Image|endswith: [x, y]\n        User: null\n    b:\n        - CommandLine|re: 'x+'\n"
                "        - Image|contains|cased: Z\n    condition: a and not b\n")  # fmt: skip

    assert read(dump(document([made])), subject="rules") == [made]


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "field", "test", "values", "cased", "id", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_document_gives_rules_or_an_error(condition: Any) -> None:
    body = {
        "format": 1,
        "rules": [{"id": "a", "title": "t", "level": "low", "kind": "file_event", "condition": condition}],
    }
    try:
        rules = read(json.dumps(body), subject="rules")
    except InvalidDocument:
        return
    RuleSet(rules)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "must be 1"),
        ({"rules": [{"id": "a"}]}, "title"),
        ({"x": 1}, "x"),
    ],
)
def test_a_document_of_another_shape_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidDocument, match=why):
        read(json.dumps({"format": 1, "rules": []} | change), subject="rules")


def test_too_much_of_anything_is_refused(rule: Callable[..., Rule]) -> None:
    made = rule("    a:\n        Image: x\n    condition: a\n").to_json()
    deep: Any = {"field": "Image", "test": "equals", "values": ["x"]}
    for _ in range(300):
        deep = {"not": deep}
    wide = {"field": "Image", "test": "equals", "values": ["x"] * 20_001}

    for broken in (deep, wide):
        with pytest.raises(InvalidDocument):
            read(json.dumps({"format": 1, "rules": [made | {"condition": broken}]}), subject="rules")
    with pytest.raises(InvalidDocument, match="twice"):
        read(json.dumps({"format": 1, "rules": [made, made]}), subject="rules")
    with pytest.raises(InvalidDocument, match="Hashes"):
        hashes = {"field": "Hashes", "test": "equals", "values": ["x"]}
        read(json.dumps({"format": 1, "rules": [made | {"condition": hashes}]}), subject="rules")
