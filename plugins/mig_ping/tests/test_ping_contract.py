"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_ping import PingModule


class TestPingContract(ModuleContract):
    module = PingModule()
    good_parameters: ClassVar[dict[str, object]] = {
        "destination": "127.0.0.1",
        "protocol": "tcp",
        "destinationport": 1,
        "count": 1,
    }
