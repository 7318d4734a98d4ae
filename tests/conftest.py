"""Real services for every test below: each plugin adds its fixtures and a line of the report's header."""

from __future__ import annotations

pytest_plugins = [
    "mig_core.testing.fleet",
    "mig_core.testing.api_site",
    "mig_core.testing.keys",
    "mig_core.testing.ordinary_user",
    "mig_core.testing.postgres",
    "mig_core.testing.rabbitmq",
    "mig_core.testing.store_fixture",
]
