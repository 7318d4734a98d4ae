"""``python -m mig_core.agent.operations FD``: the program of the zygote; ``FD`` is its control socket."""

from __future__ import annotations

import gc

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Nothing of what a start imports is garbage: looking for some ever so often takes a twelfth of it."""

if __name__ == "__main__":
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)

    from mig_core.agent.operations.zygote import main

    main()
