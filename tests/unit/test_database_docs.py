"""docs/database.md names everything the migrations make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mig_core.store.migrate import migrations
from mig_core.store.notify import CHANNELS, PREFIX
from mig_core.store.roles import GROUPS

PAGE = (Path(__file__).parents[2] / "docs" / "database.md").read_text(encoding="utf-8")
SQL = "".join(one.text for one in migrations())
GONE = {name for names in re.findall(r"^DROP INDEX ([^;]+);", SQL, re.MULTILINE) for name in names.split(", ")}
INDEXES = re.findall(r"^CREATE (?:UNIQUE )?INDEX (\w+)", SQL, re.MULTILINE)
NAMES = [
    *re.findall(r"^CREATE TABLE (\w+)", SQL, re.MULTILINE),
    # One that is dropped and made anew is there.
    *(name for name in INDEXES if name not in GONE or INDEXES.count(name) > 1),
    *re.findall(r"^CREATE TRIGGER (\w+)", SQL, re.MULTILINE),
    *GROUPS,
    *(PREFIX + channel for channel in CHANNELS),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_about_the_database_names_what_there_is(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_page_names_no_index_that_is_gone() -> None:
    listed = set(re.findall(r"`((?:commands|agents|actions|relay_messages|sessions)_\w+)`", PAGE))

    assert listed - set(NAMES) == {"commands_pkey"}


def test_each_migration_has_a_number_of_its_own_and_none_is_left_out() -> None:
    numbers = [one.version for one in migrations()]

    assert numbers == list(range(1, len(numbers) + 1))
