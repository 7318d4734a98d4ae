"""The manual names every pack with its question."""

from __future__ import annotations

import re
from pathlib import Path

from mig_sweep.pack import all_packs

PAGE = (Path(__file__).parents[3] / "docs" / "sweep.md").read_text(encoding="utf-8")


def test_each_pack_is_in_the_manual_with_its_question() -> None:
    documented = re.findall(r"^\| `([a-z-]+)` \| (.*\?) \|", PAGE, re.MULTILINE)

    assert documented == [(one.name, one.question) for one in all_packs()]
