"""A process that asks the module, to be run inside a network namespace: parameters on stdin, results on stdout."""

from __future__ import annotations

import json
import sys
import time

from mig_core.plugin.module import Context
from mig_ping import PingModule


def main() -> None:
    """Answers each of a list of questions."""
    module = PingModule()
    answers = [
        module.run(module.parse_parameters(one), Context(deadline=time.monotonic() + 30)).to_json()
        for one in json.load(sys.stdin)
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
