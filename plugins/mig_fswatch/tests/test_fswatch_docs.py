"""The manual against the program: its tables are what is declared, its event is what is sent."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_fswatch import FswatchModule
from mig_fswatch.changes import KINDS
from mig_fswatch.places import PROGRAMS_AND_ACCOUNTS
from mig_fswatch.question import CHANGES
from mig_fswatch.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

MANUAL = (Path(__file__).parents[3] / "docs" / "modules" / "fswatch.md").read_text(encoding="utf-8")


def keys_of(head: str) -> list[str]:
    table = MANUAL.partition(head)[2].partition("\n\n")[0]
    return re.findall(r"^\| `([a-z0-9_-]+)` \|", table, re.MULTILINE)


def test_the_columns_are_those_declared() -> None:
    table = MANUAL.partition("| column | kind | what it holds |")[2].partition("\n\n")[0]

    documented = re.findall(r"^\| `([a-z0-9_]+)` \| ([a-z]+) \| (.*) \|$", table, re.MULTILINE)

    assert documented == [(one.name, one.kind.value, one.help) for one in FswatchModule.columns]


def test_the_options_and_settings_are_those_declared() -> None:
    assert keys_of("| option | meaning |") == [one.name for one in FswatchModule.parameters.members if one.cli]
    assert keys_of("| key | default | meaning |") == list(Settings.__dataclass_fields__)


def test_every_kind_of_change_is_explained_and_can_be_asked_for() -> None:
    line = next(one for one in MANUAL.split("\n") if one.startswith("| `change` | `new`"))

    assert all(f"`{kind}`" in line for kind in KINDS)
    assert CHANGES == KINDS


def test_the_usual_places_that_the_manual_names_are_watched() -> None:
    text = MANUAL.partition("**The usual places**")[2].partition("\n\n")[0]

    assert all(f"`{one.rstrip('/*')}`" in text for one in PROGRAMS_AND_ACCOUNTS)


def test_the_manuals_table_can_be_used() -> None:
    table = tomllib.loads(re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)[0])

    FswatchModule().check_config(table["persistent"]["fswatch"])


@pytest.mark.skipif(sys.platform != "linux", reason="fanotify is Linux's")
@pytest.mark.parametrize("method", ["fanotify"], indirect=True)
def test_the_manuals_event_is_what_is_sent(
    watched: Path, start_watch: Callable[..., AbstractContextManager[Any]], method: str
) -> None:
    promised = json.loads(re.findall(r"```json\n(.*?)```", MANUAL, re.DOTALL)[0])
    file = watched / "backup.service"
    file.write_text("a")

    with start_watch(watched) as service:
        file.write_text("longer")
        sent = service.told(file, "changed")

    assert sent.keys() == promised.keys()
    assert sent["before"].keys() == promised["before"].keys()
    assert sent["after"].keys() == promised["after"].keys()
    assert promised["by"].keys() - sent["by"].keys() <= {"login_user"}
    assert sent["differs"] == promised["differs"]
