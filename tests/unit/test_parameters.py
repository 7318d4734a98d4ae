"""Declared parameters: what is accepted, what is refused and where, and what options become."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.errors import ParameterError
from mig_core.plugin.parameters import Kind, Parameter, Parameters, Switch

FLAT = Parameters(
    Parameter(name="name", key="names", many=True, required=True, help="a name"),
    Parameter(name="limit", key="limit", kind=Kind.INTEGER, default=5, minimum=1, maximum=9, help="how many"),
    Parameter(name="all", key="matchall", group="options", kind=Kind.BOOLEAN, cli_default=True, help="all of them"),
    Parameter(name="colour", key="colour", group="options", choices=("red", "blue"), help="which colour"),
    Switch(name="any", sets="all", value=False, help="any of them"),
)
LABELLED = Parameters(Parameter(name="name", key="names", many=True, help="a name"), label="searches")


def test_values_are_read_by_their_declared_name() -> None:
    values = FLAT.parse({"names": ["a", "b"], "options": {"matchall": True}})

    assert values.texts("name") == ("a", "b")
    assert values.boolean("all") is True
    assert values.integer("limit") == 5
    assert values.text("colour") == ""


def test_keys_are_matched_without_regard_to_case_and_null_is_absence() -> None:
    values = FLAT.parse({"NAMES": ["a"], "Options": None, "limit": None})

    assert values.texts("name") == ("a",)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ([], ""),
        ({}, "names"),
        ({"names": []}, "names"),
        ({"names": "a"}, "names"),
        ({"names": ["a", 1]}, "names[1]"),
        ({"names": ["a"], "limit": 10}, "limit"),
        ({"names": ["a"], "limit": True}, "limit"),
        ({"names": ["a"], "limit": 1.5}, "limit"),
        ({"names": ["a"], "options": []}, "options"),
        ({"names": ["a"], "options": {"matchall": 1}}, "options.matchall"),
        ({"names": ["a"], "options": {"colour": "green"}}, "options.colour"),
        ({"names": ["a"], "options": {"color": "red"}}, "options.color"),
        ({"names": ["a"], "matchall": True}, "matchall"),
    ],
)
def test_a_refusal_names_the_place(raw: Any, path: str) -> None:
    with pytest.raises(ParameterError) as refused:
        FLAT.parse(raw)

    assert refused.value.path == path


def test_a_misspelt_key_is_refused_with_a_suggestion_and_only_noted_when_lenient() -> None:
    raw = {"names": ["a"], "options": {"color": "red"}}

    with pytest.raises(ParameterError) as refused:
        FLAT.parse(raw)

    assert refused.value.next_step == "did you mean colour?"
    assert FLAT.parse(raw, strict=False).ignored == ("options.color",)


def test_a_labelled_set_is_a_map_of_objects() -> None:
    parsed = LABELLED.parse_labelled({"searches": {"one": {"names": ["a"]}, "two": {}}})

    assert {label: values.texts("name") for label, values in parsed.items()} == {"one": ("a",), "two": ()}
    assert LABELLED.parse_labelled({}) == {}


def test_options_become_raw_parameters_and_a_switch_wins() -> None:
    assert FLAT.from_options({"name": ["a"]}) == {"names": ["a"], "options": {"matchall": True}}
    assert FLAT.from_options({"name": ["a"], "all": True, "any": True})["options"] == {"matchall": False}
    assert LABELLED.from_options({"name": ["a"]}) == {"searches": {"s1": {"names": ["a"]}}}


def test_the_schema_says_what_the_parser_does() -> None:
    schema: Any = FLAT.json_schema()

    assert schema["required"] == ["names"]
    assert schema["properties"]["limit"]["maximum"] == 9
    assert schema["properties"]["options"]["properties"]["colour"]["enum"] == ["red", "blue"]
    assert schema["additionalProperties"] is False


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_a_value_of_any_json_is_accepted_or_refused_in_order(value: Any) -> None:
    for key in ("names", "limit", "options"):
        try:
            FLAT.parse({"names": ["a"], key: value})
        except ParameterError as error:
            assert str(error)
