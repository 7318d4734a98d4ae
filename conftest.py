"""Real services for every test of the repository: each plugin adds its fixtures and a line of the report's header."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = [
    "mig_core.testing.api_site",
    "mig_core.testing.fleet",
    "mig_core.testing.keys",
    "mig_core.testing.nginx",
    "mig_core.testing.ordinary_user",
    "mig_core.testing.postgres",
    "mig_core.testing.rabbitmq",
    "mig_core.testing.small_disk",
    "mig_core.testing.store_fixture",
]

# A laptop looks for new examples at every run; CI always looks at the same ones, so that it judges the change alone.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI", "").lower() == "true":
    settings.load_profile("ci")
