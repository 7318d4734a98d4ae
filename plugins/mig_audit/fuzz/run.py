"""Coverage-guided fuzzing of a target in this folder, with atheris; the only file that needs it.

atheris is a developer's tool and in no distribution's list. In any environment that has this plugin::

    pip install atheris
    python plugins/mig_audit/fuzz/run.py decode FOLDER -max_len=4096 -max_total_time=600 -timeout=10

``decode`` is the target, ``rules`` the other one. What is new is kept in ``FOLDER`` and used the next time; the
target's own seeds come with it. The rest is libFuzzer's: ``-help=1`` tells. An input for which something does not hold
is left as ``crash-…`` in the current folder: give that file in place of ``FOLDER`` to see it again, mend it, and put
the input into ``tests/test_audit_hostile.py``.
"""

from __future__ import annotations

import gc
import importlib
import sys
import tempfile
from pathlib import Path
from types import FunctionType


def main(name: str, options: list[str]) -> None:
    """Fuzzes until told to stop, or something does not hold."""
    import atheris

    target = importlib.import_module(name)  # the folder of the program is where Python looks first
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and str(one.__module__).startswith("mig_"):
            atheris.instrument_func(one)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, str(number)).write_bytes(seed)
        again = any(Path(one).is_file() for one in options)  # an input to be seen again, and no corpus
        atheris.Setup([sys.argv[0], *options, *([] if again else [folder])], target.check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
