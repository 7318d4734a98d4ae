"""A platform with agents that stands until its standard input ends; run by the build that is to be measured.

``PYTHON -P benchmarks/standing.py FOLDER RELAY`` uses only what every build since 3d007a9 has. Writes one line of JSON
when all agents are online: the environment that ``mig`` needs to ask them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.site import ENDPOINTS, Site


def main() -> None:
    """Stands."""
    folder, relay = sys.argv[1:]
    site = Site(Path(folder), relay)
    surroundings = {"MIG_CONFIG": str(site.client_settings)}
    for variable, name in (("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache")):
        surroundings[variable] = str(site.folder("investigator", name))
    os.environ.update(surroundings)
    with Platform(site) as platform:
        platform.start_agents(ENDPOINTS)
        sys.stdout.write(json.dumps(surroundings) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
