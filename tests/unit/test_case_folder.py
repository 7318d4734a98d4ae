"""Cases on disk, when several programs or pages have the same one open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.client.cases import layout
from mig_core.client.cases.folder import cases, new_case, open_case

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 28, tzinfo=UTC)
QUESTION = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def test_what_is_kept_in_a_case_survives_whoever_opened_it_before(tmp_path: Path) -> None:
    fetches = new_case(tmp_path, "one", NOW)
    open_case(tmp_path, "one").with_note("written while answers were fetched", NOW)
    open_case(tmp_path, "one").with_action(OTHER)

    after = fetches.with_action(QUESTION).with_note("later", NOW)

    assert after == open_case(tmp_path, "one")
    assert after.actions == (OTHER, QUESTION)
    assert [one.text for one in after.notes] == ["written while answers were fetched", "later"]


def test_a_damaged_case_hides_no_other(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        new_case(tmp_path, name, NOW)
    (tmp_path / "b" / layout.CASE).write_text("{")

    assert [one.name for one in cases(tmp_path)] == ["a", "c"]
