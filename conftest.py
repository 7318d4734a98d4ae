"""Real services for every test of the repository: each plugin adds its fixtures and a line of the report's header."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

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

# No example is late: how long one takes is the machine's affair. A laptop looks for new examples at every run; CI
# always looks at the same ones, so that it judges the change alone.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("untimed"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() == "true" else "untimed")

# What a shell runs in the background ignores SIGINT, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
