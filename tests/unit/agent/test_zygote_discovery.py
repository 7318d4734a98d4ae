"""What one zygote hands on to the next one, so that plugins need not be looked for after each rest."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from mig_core.agent.operations import zygote
from mig_core.agent.operations.zygote import Zygote

if TYPE_CHECKING:
    import pytest

NOTHING: dict[str, Any] = {"modules": {}, "failures": {}, "versions": {}, "hooks": False}


def prepared(known: Any) -> dict[str, Any]:
    """What a zygote says that was told what the one before it found."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return Zygote(theirs)._prepare(allow=[], deny=[], preload=[], known=known)


def test_what_could_not_be_loaded_is_looked_for_again_and_what_could_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    findings = [{**NOTHING, "failures": {"file": "OSError: [Errno 5] Input/output error"}}, NOTHING]
    monkeypatch.setattr(zygote, "_installed", lambda: "as it was")
    monkeypatch.setattr(zygote, "_discover", lambda _allow, _deny: findings.pop(0))

    first = prepared(None)
    second = prepared(first["known"])
    third = prepared(second["known"])

    assert set(first["failures"]) == {"file"}
    assert (second["failures"], third["failures"], findings) == ({}, {}, [])
