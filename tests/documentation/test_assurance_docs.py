"""``docs/assurance.md`` names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_row_is_kept_by_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))

    there = {
        name
        for pattern in ("tests/**/test_*.py", "mig_core/testing/**/*.py")
        for path in ROOT.glob(pattern)
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }

    assert named
    assert named - there == set()
