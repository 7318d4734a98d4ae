"""Parts of the page that no browser is needed for: forms, conditions, the bar, what is booked of answers."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.column_kind import ColumnKind
from mig_core.domain.reading.shape import Field
from mig_core.domain.reading.where import parse_where
from mig_core.plugin.manager import load_module
from mig_web.drafts import command_line
from mig_web.following import MOST_FOLLOWED, MOST_SHORTFALLS, NAMED_AGENTS, OTHERS, Followings
from mig_web.forms import fields_of, operation_of, words_of
from mig_web.listing import Pager
from mig_web.question import Draft
from mig_web.rows import condition_of, equal_to
from mig_web.statebar import ORDER, parts_of, unaccounted
from mig_web.templates import LONGEST_BLOCK, LONGEST_CELL, Templates, cell, lines_of, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = [Field(kind.value, kind) for kind in ColumnKind]


@pytest.mark.parametrize(
    ("kind", "typed", "meant"),
    [
        ("text", "50%_x'", "text ILIKE '%50\\%\\_x''%'"),
        ("text", "= a b", "text = 'a b'"),
        ("path", "~ ^/tmp", "path ~ '^/tmp'"),
        ("text", "!~* x", "text !~* 'x'"),
        ("integer", "22", "integer = 22"),
        ("integer", "> 22", "integer > 22"),
        ("size", ">= 10m", "size >= '10m'"),
        ("boolean", "yes", "boolean = true"),
        ("time", "2026-11-23", "time >= '2026-11-23'"),
        ("time", "> NOW() - interval '1 day'", "time > NOW() - interval '1 day'"),
        ("address", "10.0.0.0/8", "address <<= '10.0.0.0/8'"),
        ("address", "10.1.2.3", "address = '10.1.2.3'"),
        ("hash", "?", "hash IS NULL"),
    ],
)
def test_what_is_typed_at_a_column_is_a_condition_of_its_kind(kind: str, typed: str, meant: str) -> None:
    condition = condition_of(Field(kind, ColumnKind(kind)), kind, typed)

    assert condition == meant
    parse_where(condition, COLUMNS)


@given(st.text(max_size=60).filter(str.strip))
def test_no_text_at_a_column_is_more_than_one_condition(text: str) -> None:
    condition = condition_of(Field("text", ColumnKind.TEXT), "text", f"= {text.strip()}")

    assert condition.count("'") % 2 == 0
    assert equal_to(Field("text", ColumnKind.TEXT), "text", text) == "text = '" + text.replace("'", "''") + "'"


@given(
    st.dictionaries(st.sampled_from([one for one in ORDER if one != "partial"]), st.integers(0, 10_000)),
    st.integers(0, 99),
)
def test_the_parts_of_the_bar_sum_up_to_those_who_were_asked(counts: dict[str, int], partial: int) -> None:
    action = {"counts": counts, "targeted": sum(counts.values()), "partial": partial}

    parts = parts_of(action)

    assert sum(one.count for one in parts) == action["targeted"]
    assert unaccounted(action) == 0
    assert all(one.width > 0 for one in parts)
    assert sum(one.width for one in parts) == pytest.approx(100 if parts else 0, abs=0.1)


def test_agents_in_no_state_are_told() -> None:
    assert unaccounted({"counts": {"success": 3}, "targeted": 4, "partial": 0}) == 1


def test_a_filled_in_form_is_an_operation_that_words_say_too() -> None:
    module = load_module("file")
    form = {"p.path": ["/etc", "", "/usr"], "p.name": ["^-x$"], "p.maxdepth": ["3"], "p.matchany": ["yes"]}

    operation = operation_of(module, form)

    search: dict[str, Any] = operation.parameters["searches"]["s1"]  # type: ignore[index, call-overload, assignment]  # JSON
    assert (search["paths"], search["names"], search["options"]["maxdepth"]) == (["/etc", "/usr"], ["^-x$"], 3)
    assert search["options"]["matchall"] is False
    words = words_of(module, operation)
    assert words == [*("--path", "/etc", "--path", "/usr", "--name", "^-x$"), *("--maxdepth", "3", "--no-matchall")]
    assert {one.name for one in fields_of(module, form, None)} >= {"path", "name", "matchany"}


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("^a b$", "all", "mig file -t all --path /etc --name '^a b$'"),
        ("^a\u00a0b$", "all", "mig ask question.json -t all"),
        ("^a b$", "name = '\u200b'", "mig ask question.json"),
    ],
)
def test_what_would_be_copied_escaped_is_asked_from_the_file(name: str, target: str, words: str) -> None:
    module = load_module("file")
    site: Any = SimpleNamespace(modules={"file": module})
    operation = operation_of(module, {"p.path": ["/etc"], "p.name": [name]})

    assert command_line(site, Draft((operation,), target)) == words


def test_what_is_signed_is_shown_to_its_end_whatever_its_length() -> None:
    text = "x" * LONGEST_BLOCK + "the end"

    assert "the end" not in lines_of(text)
    assert lines_of(text, whole=True) == text


@pytest.mark.parametrize("zone", ["UTC+12", "UTC-12"])
def test_the_first_and_the_last_of_times_are_shown(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()

    shown = [moment(text) for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")]

    monkeypatch.undo()
    time.tzset()
    assert ("0001-01-01" in shown[0], "9999-12-31" in shown[1]) == (True, True)


def test_a_long_cell_says_how_long_it_is_and_nothing_in_it_is_obeyed() -> None:
    shown = cell("<b>\u202e" + "x" * 5_000)

    assert shown.startswith("&lt;b&gt;\\u202ex")
    assert shown.endswith('<span class="cut">… 5,004 characters</span>')
    assert len(shown) < LONGEST_CELL + 200
    assert cell(None) != cell("?")
    assert lines_of("a\n<i>\x1b\u2028") == "a\n&lt;i&gt;\\x1b\\u2028"


class Stream:
    """An API whose action was answered by many agents, each with a reason of its own."""

    def follow(self, action: str, position: str = "", *, tick: int = 0) -> Iterator[Any]:
        from mig_core.client.follow import Event

        for number in range(1_000):
            skipped = [{"reason": f"reason {number % 500}", "count": one} for one in (1, 1)] + ["no object"]
            coverage = {"examined": {"files": 10, "odd": "x", "less": -1, "much": 10**4000}, "skipped": skipped}
            document = {"agent": f"id{number}", "agentname": f"name{number}", "state": "success", "found": True}
            yield Event("command", {**document, "complete": False, "results": [{"coverage": coverage}, None]})
        yield Event("end", {"id": action, "counts": {"success": 1_000}})


def test_what_is_booked_of_answers_is_bounded_and_leaves_nobody_out() -> None:
    followings = Followings(lambda: Stream())  # type: ignore[arg-type, return-value]  # all that it asks of a client

    following = followings.of("an action")
    following._thread.join(timeout=30)

    found = following.shortfalls()
    assert (following.looked_through, following.ended) == (1_000, True)
    assert following.examined == {"files": 10_000, "odd": 0, "less": 0, "much": 0}
    assert len(found) == MOST_SHORTFALLS + 1
    assert (sum(one.agents for one in found), sum(one.things for one in found)) == (1_000, 2_000)
    assert found[0].reason == OTHERS
    assert max(len(one.named) for one in found) == NAMED_AGENTS
    assert followings.of("an action") is following


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(None, ""), (-1.5, ""), (60.0, ""), (3600.4, "clock 3,600 s ahead"), (-90.0, "clock 90 s behind, or its")],
)
def test_a_clock_that_is_more_than_a_minute_off_is_marked(ahead: float | None, said: str) -> None:
    agent: dict[str, Any] = {
        **dict.fromkeys(("id", "name", "state", "version", "relay"), "x"),
        "heartbeat": None,
        "environment": {},
        "tags": {},
        "failures": {},
        "twosessions": None,
        "ledgerback": None,
        "clockahead": ahead,
    }
    context: dict[str, Any] = {"problem": [], "count": None, "target": "", "agents": [agent], "trust": {}}

    shown = Templates().html("fleet_agents.html", {**context, "pager": Pager("/", {}, "", "")})

    assert (said in shown) if said else ("clock" not in shown)


def test_whoever_watches_an_action_is_not_left_alone_for_another() -> None:
    followings = Followings(lambda: Stream())  # type: ignore[arg-type, return-value]  # all that it asks of a client
    names = [f"action {number}" for number in range(MOST_FOLLOWED + 2)]

    watched = [followings.of(name) for name in names]
    again = [followings.of(name) for name in names]
    for one in watched[:3]:
        one._wanted -= 60
    followings.of("one more")

    assert again == watched
    assert [one._stopped for one in watched] == [True] * 3 + [False] * (MOST_FOLLOWED - 1)
