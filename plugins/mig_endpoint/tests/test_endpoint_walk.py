"""The walk over directories that change under it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import MAX_TEXT, Reason, Tally
from mig_endpoint import coverage
from mig_endpoint.files import walk
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.naming import PathText

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_endpoint.files.batch import Batch


class _SwapsDirectories:
    """A visitor that replaces each directory below the root by a link to another, after it was listed."""

    wants_others = False

    def __init__(self, outside: Path) -> None:
        self._outside = outside
        self.seen: list[str] = []

    def visit(self, batch: Batch) -> None:
        self.seen += [f"{batch.path}/{name}" for name in batch.names]
        for entry in os.listdir(batch.path):
            path = f"{batch.path}/{entry}"
            if os.path.isdir(path) and not os.path.islink(path):
                os.rename(path, f"{self._outside}/moved-{entry}")
                os.symlink(self._outside, path)

    def why_not(self, depth: int) -> Reason | None:
        return None

    def stopped(self) -> bool:
        return False


def test_a_directory_replaced_by_a_link_in_the_meantime_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "directory").mkdir(parents=True)
    (inside / "file").write_text("x")
    outside.mkdir()
    (outside / "secret").write_text("x")
    books = Tally(0)
    visitor = _SwapsDirectories(outside)

    walk.Walk(visitor, books, Crossings(lambda: 60.0)).walk(str(inside))

    assert visitor.seen == [f"{inside}/file"]
    assert [(one.reason, one.count) for one in books.coverage().skipped] == [(coverage.CHANGED.text, 1)]
    assert not books.complete


class _WhenDeep:
    """A visitor that does something to the tree once, at a depth where the upper directories have been closed."""

    levels = walk.MAX_OPEN + 20
    wants_others = False

    def __init__(self, root: Path, act: Callable[[], object]) -> None:
        self._act = act
        self.seen: list[str] = []
        os.makedirs(root / "/".join(["d"] * self.levels))
        (root / "/".join(["d"] * self.levels) / "bottom").touch()
        (root / "d" / "z").mkdir()
        (root / "d" / "z" / "later").touch()

    def visit(self, batch: Batch) -> None:
        self.seen += batch.names
        if batch.depth == self.levels + 1:
            self._act()

    def why_not(self, depth: int) -> Reason | None:
        return None

    def stopped(self) -> bool:
        return False


def test_a_branch_moved_away_while_we_are_deep_in_it_does_not_lead_us_astray(tmp_path: Path) -> None:
    root, books = tmp_path / "root", Tally(0)
    visitor = _WhenDeep(root, lambda: os.rename(root / "d" / "d" / "d", tmp_path / "elsewhere"))

    walk.Walk(visitor, books, Crossings(lambda: 60.0)).walk(str(root))

    assert sorted(visitor.seen) == ["bottom", "later"]
    assert books.complete


def test_a_directory_exchanged_while_we_are_deep_below_it_is_reported(tmp_path: Path) -> None:
    root, books = tmp_path / "root", Tally(0)

    def exchange() -> None:
        os.rename(root / "d" / "d", tmp_path / "elsewhere")
        os.rename(root / "d", tmp_path / "old")
        (root / "d").mkdir()
        (root / "d" / "trap").touch()

    visitor = _WhenDeep(root, exchange)

    walk.Walk(visitor, books, Crossings(lambda: 60.0)).walk(str(root))

    assert "trap" not in visitor.seen
    assert "later" in visitor.seen or not books.complete


def test_a_path_text_is_shown_only_as_far_as_a_result_may_carry() -> None:
    books = Tally(0)
    books.skip(coverage.DENIED, PathText("/" + "x" * 100_000))

    assert len(books.coverage().skipped[0].examples[0]) <= MAX_TEXT
