"""A database's URL holds a password: nothing that is raised or logged about it does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import ConfigurationError, StoreUnavailable
from mig_core.store import roles
from mig_core.store.database import Database, StoreLimits
from mig_core.store.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Callable

# libpq repeats each of these, or the part of it that it stumbles over.
UNREADABLE = [
    "postgresql://mig:hunter%two@localhost/mig",
    "postgresql://mig:hunter two@localhost/mig",
    "postgresql://mig:hunter@two@localhost/mig",
    "postgresql://mig:hunter@[::1/mig",
    "postgresql://mig@localhost/mig?password=hunter%2",
    "postgresql://mig:hunter@localhost/mig?what=1",
    "host=localhost password=hunter two",
]
OPENED: list[Callable[[str], object]] = [
    lambda url: asyncio.run(opened(url)),
    roles.connect,
]


async def opened(url: str) -> None:
    await Database(url, pool_size=1, limits=StoreLimits(connect=0)).open()


@pytest.mark.parametrize("url", UNREADABLE)
@pytest.mark.parametrize("connect", OPENED, ids=["program", "owner"])
def test_a_url_that_libpq_cannot_read_is_refused_without_a_word_of_it(
    url: str, connect: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match="is no libpq URL") as refused:
        connect(url)

    told = [str(refused.value), str(refused.value.diagnostics()), caplog.text]
    chained: BaseException | None = refused.value
    while chained is not None:  # what a log with the whole traceback would show
        chained = None if chained.__suppress_context__ else chained.__context__
        told.append(str(chained))
    assert "hunter" not in " ".join(told)


@pytest.mark.parametrize("connect", OPENED, ids=["program", "owner"])
def test_a_database_that_is_away_is_told_without_the_password(
    connect: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        connect("postgresql://mig:hunter@127.0.0.1:1/mig")

    assert "127.0.0.1" in str(refused.value)
    assert "hunter" not in str(refused.value) + caplog.text


def test_passwords_are_taken_out_as_they_are_and_as_they_stand_in_a_url() -> None:
    url = "postgresql://mig:a%2Fb%20c@localhost/mig?sslpassword=key"

    assert without_password("of a/b c, a%2Fb%20c, a/b%20c and key", url) == "of " + ", ".join(
        ["(hidden)"] * 2 + ["(hidden) and (hidden)"]
    )
