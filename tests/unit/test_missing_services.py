"""A missing service is forgiven on a laptop and never in CI."""

from __future__ import annotations

import pytest

from mig_core.testing.services import service_missing


def test_a_missing_service_skips_the_test_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no broker here"):
        service_missing("no broker here")


def test_a_missing_service_fails_the_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="no broker here"):
        service_missing("no broker here")
