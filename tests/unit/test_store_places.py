"""Pages of a long list cost the same wherever they begin: the place is a condition that an index can use."""

from __future__ import annotations

import re
from importlib import resources

import pytest

OPTIONAL_PLACE = re.compile(r"%\(\w+\)s(?:::\w+)? IS NULL OR \(")
GIVEN_ACTION = re.compile(r"WHERE action_id = %\(action\)s.{0,300}(?:position > %|agent_id\) > \()", re.DOTALL)
FILES = sorted(one.name for one in resources.files("mig_core.store").iterdir() if one.name.endswith(".py"))


@pytest.mark.parametrize("name", FILES)
def test_no_statement_leaves_the_place_of_a_page_out(name: str) -> None:
    # PostgreSQL plans a prepared statement for any value, and `place IS NULL OR (name, id) > place` for any value is a
    # filter: the thousandth page of an action's answers then reads the 999 before it.
    text = (resources.files("mig_core.store") / name).read_text(encoding="utf-8")

    assert not OPTIONAL_PLACE.search(text)


@pytest.mark.parametrize("name", FILES)
def test_the_action_of_a_page_is_looked_up(name: str) -> None:
    # Of an id that it is given PostgreSQL believes, until its statistics know it, that it has no rows, and sorts all
    # rows of a young action for each page. One that is looked up may have as many as any.
    text = (resources.files("mig_core.store") / name).read_text(encoding="utf-8")

    assert not GIVEN_ACTION.search(text)
