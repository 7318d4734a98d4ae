"""A test that fails spoils no other one: every fleet is whole when its next test begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_core.testing.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

LINES = 40
"""Of each program's log that are shown with a test that failed."""


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test of a fleet has left stopped is started again."""
    if "fleet" not in request.fixturenames:
        yield
        return
    fleet, failed = request.getfixturevalue("fleet"), request.session.testsfailed
    yield
    fleet.make_whole(doubtful=request.session.testsfailed > failed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a test that failed come the last lines of what the fleet's programs logged: it may not fail again."""
    report = yield
    fleet = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(fleet, Fleet):
        for log in sorted((fleet.platform.site.root / "log").glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
            report.sections.append((log.name, "\n".join(lines)))
    return report
