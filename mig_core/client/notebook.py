"""A question in a notebook: a bar of states, the first rows, what was not looked at; a progress bar; a plot.

What endpoints sent is text here, never HTML. Needs nothing; the progress bar wants tqdm and the plot matplotlib
(``pip install 'mig-core[notebook]'``).
"""

from __future__ import annotations

import importlib
import itertools
from html import escape
from typing import TYPE_CHECKING, Any

from mig_core.errors import MigError
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mig_core.client.answer import Answer, Asked

SHOWN_ROWS = 20
SHOWN_CHARACTERS = 120
_COLOURS = {
    "success": "#2b8a3e",
    "failed": "#c92a2a",
    "refused": "#862e9c",
    "timeout": "#e67700",
    "killed": "#e67700",
    "cancelled": "#868e96",
    "expired": "#495057",
    "sent": "#a5d8ff",
    "queued": "#d0ebff",
}
_EXTRA = {"polars": "pip install polars"}


def question_html(question: Asked) -> str:
    """What Jupyter shows: how many agents of each state, the first rows there are, and who did not look at everything.

    Asks the platform; waits for no agent.
    """
    shown = list(itertools.islice(question.answers_now(), 200))
    return "".join(
        [
            f"<div><b>{_text(question.name)}</b> <code>{_text(question.id)}</code> {_text(question.state)}</div>",
            _bar(question.counts, question.asked),
            f"<div>{_text(question.summary)}</div>",
            _table(shown),
            _shortcomings(shown),
        ]
    )


def with_progress(question: Asked, answers: Iterable[Answer]) -> Iterator[Answer]:
    """The answers, with a bar that moves as they come.

    Raises:
        MigError: tqdm is not installed.
    """
    with imported("tqdm.auto").tqdm(total=question.asked, unit="agent", desc=visible(question.name)[:40]) as bar:
        for answer in answers:
            bar.total = question.asked
            bar.update()
            yield answer
        bar.total = question.asked
        bar.refresh()


def plot_values(title: str, values: Iterable[tuple[str, int]]) -> Any:
    """Values and how many endpoints have each, as horizontal bars, the first on top; the axes of matplotlib.

    Raises:
        MigError: matplotlib is not installed.
    """
    pyplot = imported("matplotlib.pyplot")
    bars = [(visible(value)[:SHOWN_CHARACTERS], number) for value, number in values]
    _, axes = pyplot.subplots(figsize=(8, 0.6 + 0.32 * max(len(bars), 1)), layout="constrained")
    places = range(len(bars))
    axes.barh(places, [number for _, number in bars], color="#1c7ed6")
    axes.set_yticks(places, [value.replace("$", r"\$") for value, _ in bars])  # a $ would begin a formula
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("endpoints")
    axes.set_title(title.replace("$", r"\$"))
    return axes


def _bar(counts: dict[str, int], asked: int) -> str:
    if not asked:
        return ""
    parts = "".join(
        f'<div title="{_text(state)}: {number}" style="width:{100 * number / asked:.4f}%;'
        f'background:{_COLOURS.get(state, "#ced4da")}"></div>'
        for state, number in counts.items()
    )
    return f'<div role="img" aria-label="agents by state" style="display:flex;height:8px;margin:4px 0">{parts}</div>'


def _table(answers: list[Answer]) -> str:
    rows = [row for answer in answers for row in answer.rows]
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows[:SHOWN_ROWS] for name in row))
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell_html(row, name)}</td>" for name in names) + "</tr>" for row in rows[:SHOWN_ROWS]
    )
    more = f"<div>the first {SHOWN_ROWS} rows are shown</div>" if len(rows) > SHOWN_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def cell_html(row: Mapping[str, Any], name: str) -> str:
    """A cell of a row: nothing, ``?`` for what is not known, or its text."""
    if name not in row:
        return ""
    value = row[name]
    if value is None:
        return '<span title="not known">?</span>'
    return _text(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _shortcomings(answers: list[Answer]) -> str:
    missed = [(answer.agent, reason) for answer in answers for reason in answer.shortcomings]
    if not missed:
        return ""
    lines = "".join(f"<li>{_text(agent)}: {_text(reason)}</li>" for agent, reason in missed[:SHOWN_ROWS])
    more = f"<li>and {len(missed) - SHOWN_ROWS} more</li>" if len(missed) > SHOWN_ROWS else ""
    return f"<details><summary>not everything was looked at</summary><ul>{lines}{more}</ul></details>"


def _text(text: str) -> str:
    shown = visible(text)
    return escape(shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…")


def imported(name: str) -> Any:
    """A module of the extra.

    Raises:
        MigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MigError(
            f"{name.partition('.')[0]} is not installed", next_step=_EXTRA.get(name, "pip install 'mig-core[notebook]'")
        ) from error
