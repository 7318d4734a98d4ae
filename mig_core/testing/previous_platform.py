"""A program for the *previous* release's interpreter: its platform, driven by lines on standard input.

``["start", NAME…]`` starts agents and waits until they are online, ``["start-again", NAME…]`` does not wait,
``["end", NAME…]`` ends agents, ``api`` or ``scheduler``; each is answered with ``done``. The end of the input ends all.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from mig_core.cli.demo import platform as demonstration
from mig_core.cli.demo.site import Site

PROGRAMS = {
    "mig": "mig_core.cli.main",
    "mig-agent": "mig_core.agent.main",
    "mig-api": "mig_core.api.main",
    "mig-scheduler": "mig_core.scheduler.main",
}


def main(folder: Path, relay: str) -> None:
    """Serves until standard input ends."""
    starter = folder / "programs"
    starter.mkdir(parents=True)
    for name, module in PROGRAMS.items():
        script = starter / name
        body = f"#!{sys.executable} -P\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
        script.write_text(body, encoding="utf-8")
        script.chmod(0o755)
    vars(demonstration)["program"] = lambda name: str(starter / name)
    with demonstration.Platform(Site(folder, relay)) as platform:
        _done()
        for line in sys.stdin:
            what, *names = json.loads(line)
            if what == "start":
                platform.start_agents(names)
            for name in names:
                if what == "start-again":
                    platform.start_agent(name)
                elif what == "end":
                    platform.processes.end(name, signal.SIGTERM)
            _done()


def _done() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
