"""``docs/python.md`` and the notebook beside it, run against a fleet from the first line to the last."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from mig_core.testing.fleet import Fleet

# What is carried is the same over either relay.
pytestmark = pytest.mark.parametrize("fleet_relay", ["https"], indirect=True, scope="session")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def investigator(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fleet.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("investigator")
def test_every_line_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("agg")
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}

    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/python.md", "exec"), names)

    assert "4 asked: 4 success; 4 found" in capsys.readouterr().out
    assert len(names["frame"]) == 4


@pytest.mark.usefixtures("investigator")
def test_the_notebook_runs_and_shows_what_it_shows_on_the_page() -> None:
    kept, fresh = notebook(), notebook()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's libraries
        NotebookClient(
            fresh, timeout=60, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}}
        ).execute()

    assert [kinds(cell) for cell in fresh.cells] == [kinds(cell) for cell in kept.cells]


def notebook() -> Any:
    """The notebook as it lies beside the page."""
    return nbformat.read(DOCS / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # it has no types


def kinds(cell: Any) -> list[str]:
    """What a cell puts out: text, HTML, pictures."""
    return sorted(kind for output in cell.get("outputs", ()) for kind in output.get("data", {}))
