"""An investigator whose clock is ahead is told before waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mig_core.cli.clock import clock_warning
from mig_core.domain.times import CLOCK_TOLERANCE


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=-1), CLOCK_TOLERANCE])
def test_a_clock_that_does_no_harm_is_not_mentioned(ahead: timedelta) -> None:
    assert clock_warning(ahead) == ""


@pytest.mark.fault("clock ahead")
def test_a_clock_that_is_ahead_is_said_with_the_time_it_costs() -> None:
    warning = clock_warning(CLOCK_TOLERANCE + timedelta(minutes=9, seconds=0.4))

    assert "ahead of the platform's" in warning
    assert "begins only in 9m" in warning
