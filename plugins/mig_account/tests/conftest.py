"""A system of files to look at."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_account import AccountModule
from mig_endpoint.testing.privileges import NOBODY
from mig_endpoint.testing.systems import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

NOW = 1_795_000_000.0
"""2026-11-18."""


@pytest.fixture
def system() -> Iterator[System]:
    """One without files, where an ordinary user gets at it too; its clock stands still."""
    root = Path(tempfile.mkdtemp(prefix="mig-account-"))
    root.chmod(0o755)
    yield System(root, AccountModule(now=lambda: NOW))
    shutil.rmtree(root)


@pytest.fixture
def ordinary(system: System) -> Callable[[], AbstractContextManager[None]]:
    """Makes this process an ordinary user's for a while; what the module imports is imported before."""
    system.ask(ask=["all"])

    @contextmanager
    def ordinary() -> Iterator[None]:
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    return ordinary
