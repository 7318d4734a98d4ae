"""The fleet from Python, as a script or a notebook asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import pytest
from matplotlib import pyplot

from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.client import Mig, Question
from mig_core.errors import MigError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.fleet import Fleet


@pytest.fixture
def mig(fleet: Fleet) -> Iterator[Mig]:
    with Mig.connect(fleet.platform.site.client_settings) as mig:
        yield mig


def hostnames(mig: Mig) -> Question:
    """A question that every agent of the fleet has a row for."""
    return mig.ask("file", path=["etc"], name="^hostname$", returnsha256=True, target="all", expiry="60s")


def test_answers_come_one_by_one_and_each_agent_is_accounted_for(mig: Mig) -> None:
    question = hostnames(mig)

    answers = {one.agent: one for one in question}

    assert set(answers) == set(ENDPOINTS)
    assert question.state == "completed"
    assert question.counts == {"success": len(ENDPOINTS)}
    holder = answers[HOLDER]
    assert (holder.found, holder.complete, holder.shortcomings) == (True, True, [])
    (row,) = holder.rows
    assert row["agent"] == HOLDER
    assert str(row["file"]).endswith("etc/hostname")


def test_a_question_can_be_come_back_to(mig: Mig) -> None:
    asked = hostnames(mig).wait()

    again = mig.results(asked.id)

    assert sorted(map(str, again.rows())) == sorted(map(str, asked.rows()))
    assert {one.agent for one in again.answers_now()} == set(ENDPOINTS)
    assert asked.id in {one.id for one in mig.questions(limit=5)}


def test_what_the_module_does_not_take_is_said_before_anything_is_signed(mig: Mig) -> None:
    with pytest.raises(ParameterError) as misspelt:
        mig.ask("file", pth=["etc"], name="x", target="all")
    with pytest.raises(ParameterError) as broken:
        mig.ask("file", path=["etc"], name="(", target="all")

    assert "did you mean path?" in str(misspelt.value.diagnostics())
    assert "file: searches.s1.names" in str(broken.value.diagnostics())


def test_a_question_that_was_cancelled_says_so_for_each_agent(mig: Mig) -> None:
    question = mig.ask("file", path=["etc"], name="x", target=f"name = '{HOLDER}'", expiry="60s").wait()

    with pytest.raises(MigError):
        question.cancel("it is over")

    assert question.refresh().state == "completed"


def test_rows_become_a_data_frame_with_typed_columns_and_what_was_not_looked_at(mig: Mig) -> None:
    question = hostnames(mig)

    frame = question.to_pandas()

    assert list(frame["agent"].sort_values()) == sorted(ENDPOINTS)
    assert str(frame["size"].dtype) == "Int64"
    assert str(frame["lastmodified"].dtype).startswith("datetime64[")
    assert frame["sha256"].str.len().eq(64).all()
    assert frame.attrs == {
        "action": question.id,
        "asked": len(ENDPOINTS),
        "counts": {"success": len(ENDPOINTS)},
        "not_looked_at": {},
    }


def test_rows_become_a_polars_frame(mig: Mig) -> None:
    frame = hostnames(mig).to_polars()

    assert sorted(frame["agent"]) == sorted(ENDPOINTS)
    assert frame["size"].dtype.is_integer()
    assert frame["lastmodified"].dtype.is_temporal()


def test_a_notebook_shows_states_rows_and_what_was_not_looked_at(mig: Mig) -> None:
    question = hostnames(mig).wait(progress=True)

    shown = question._repr_html_()

    assert 'title="success: 4"' in shown
    assert "hostname</td>" in shown
    assert "not everything was looked at" not in shown


def test_a_stack_says_what_is_everywhere_and_who_answered(mig: Mig) -> None:
    question = hostnames(mig)

    stack = question.stack("mode", "size", limit=10)

    assert sum(one.endpoints for one in stack) == len(ENDPOINTS)
    assert stack.entries[0].share == stack.entries[0].endpoints / len(ENDPOINTS)
    assert stack.account["answered"] == len(ENDPOINTS)
    assert list(stack.to_pandas()["endpoints"]) == [one.endpoints for one in stack]
    assert "4 of 4 answered" in stack._repr_html_()


def test_a_stack_is_drawn_with_the_most_frequent_value_on_top(mig: Mig) -> None:
    matplotlib.use("agg")

    axes = hostnames(mig).plot_stack("mode")

    assert [label.get_text() for label in axes.get_yticklabels()] == ["-rw-r--r--"]
    assert axes.yaxis_inverted()
    pyplot.close(axes.figure)


def test_a_column_that_there_is_not_is_named(mig: Mig) -> None:
    with pytest.raises(MigError, match="modes"):
        hostnames(mig).stack("modes")
