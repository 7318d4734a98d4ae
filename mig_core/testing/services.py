"""What a test does when the real service it needs is not on this machine.

On a laptop it is skipped, with the reason; where the environment says ``CI=true`` it fails, because there a skip would
hide that nothing was tested.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def service_missing(reason: str) -> NoReturn:
    """Skip the test that asked, or fail it under CI."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason} (CI=true: a missing service is a failure)", pytrace=False)
    pytest.skip(reason)
