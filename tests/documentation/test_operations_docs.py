"""``docs/operations.md`` and ``docs/plugins.md`` against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mig_core.config.client import ClientSettings
from mig_core.config.loader import describe
from mig_core.config.server import ApiSettings, SchedulerSettings
from mig_core.plugin import hooks
from mig_core.store.rows import Recording

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
PLUGINS = (DOCS / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [ApiSettings, SchedulerSettings, ClientSettings])
def test_every_setting_is_described_with_its_default_and_no_other(kind: type[object]) -> None:
    table = OPERATIONS.partition(f"<!-- settings of {kind.__name__}")[2].partition("<!-- end of settings")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \|([^|]*)\|", table, re.MULTILINE)

    words = {"None": "", "()": "", "False": "false", "True": "true"}
    actual = {key: words.get(default, default) for key, _, default in describe(kind)}

    assert {key: default.strip("` ") for key, default in rows} == actual


def test_every_counter_is_explained() -> None:
    for recording in Recording:
        if recording is not Recording.RECORDED:
            assert f"`result.{recording.value}`" in OPERATIONS


def test_every_hook_is_in_the_table_with_its_role() -> None:
    rows = re.findall(r"^\| `(mig_\w+)` \| (\w+) \|", PLUGINS, re.MULTILINE)

    actual = {(name, role) for role, kind in hooks.SPECIFICATIONS.items() for name in vars(kind) if name[:4] == "mig_"}

    assert set(rows) == actual
