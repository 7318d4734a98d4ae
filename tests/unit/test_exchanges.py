"""How an exchange over the ``https`` relay is written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.exchanges import MAX_ACKNOWLEDGED, MAX_MESSAGES, Request, read_request
from mig_core.domain.messages import Kind
from mig_core.errors import InvalidDocument

requests = st.builds(
    Request,
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.integers(0, 60),
    st.integers(0, MAX_MESSAGES),
    st.lists(st.integers(0, (1 << 63) - 1), max_size=9).map(tuple),
    st.lists(st.tuples(st.sampled_from(Kind), st.binary(min_size=1, max_size=99)), max_size=9).map(tuple),
)


@given(requests)
def test_what_was_written_is_read_as_it_was(request: Request) -> None:
    assert read_request(request.to_bytes()) == request


@given(st.binary(max_size=200), requests, st.data())
def test_nothing_that_an_agent_sends_breaks_the_reader(noise: bytes, request: Request, data: st.DataObject) -> None:
    body = request.to_bytes()
    place = data.draw(st.integers(0, len(body)))
    for one in (noise, body[:place], body[:place] + noise + body[place:]):
        try:
            read_request(one)
        except InvalidDocument as error:
            assert error.subject == "request"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no first line"),
        (b"x" * (64 << 10), "no first line"),
        (b"[" * 30_000 + b"\n", "not JSON"),
        (b"[]\n", "must say"),
        (b'{"session":"a","wait":0,"max":0}\n', "must say"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[],"more":1}\n', "must say"),
        (b'{"session":"a b","wait":0,"max":0,"acknowledged":[]}\n', "letters, digits"),
        (b'{"session":"a","wait":61,"max":0,"acknowledged":[]}\n', "from 0 to 60"),
        (b'{"session":"a","wait":true,"max":0,"acknowledged":[]}\n', "from 0 to 60"),
        (b'{"session":"a","wait":0,"max":51,"acknowledged":[]}\n', "from 0 to 50"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[-1]}\n', "whole number"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[1e3]}\n', "whole number"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[]}\nresult 5\nabc', "ends before"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[]}\nresult 0\n', "empty message"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[]}\nresult -1\nabc', "KIND LENGTH"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[]}\nalert 3\nabc', "KIND LENGTH"),
        (b'{"session":"a","wait":0,"max":0,"acknowledged":[]}\n' + b"result 1\na" * (MAX_MESSAGES + 1), "KIND LENGTH"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read_request(body)


def test_more_acknowledgements_than_fit_are_refused() -> None:
    with pytest.raises(InvalidDocument, match="at most 1000"):
        read_request(Request("a", 0, 0, tuple(range(MAX_ACKNOWLEDGED + 1))).to_bytes())
